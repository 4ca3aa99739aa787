{{ config(partition_by=replace_partition('ordered_on', 'month'), cluster_by=cluster(['customer_id'])) }}

select
    order_id,
    -- An order has one customer, store and time; min() says so without a second key to group by.
    min(customer_id) as customer_id,
    min(store_id) as store_id,
    min(ordered_at) as ordered_at,
    min(ordered_on) as ordered_on,
    count(*) as lines,
    {{ big_sum('amount_cents') }} as amount_cents,
    {{ big_sum('discount_cents') }} as discount_cents,
    {{ big_sum('coupon_cents') }} as coupon_cents,
    {{ big_count('coupon_cents > 0') }} as coupon_lines,
    {{ big_count('is_private_label') }} as private_label_lines,
    {% for group in ['produce', 'meat', 'drug', 'fuel'] -%}
    {{ big_sum("case when department_group = '" ~ group ~ "' then amount_cents else 0 end") }} as {{ group }}_cents,
    {% endfor -%}
    max(case when department_group = 'fuel' then 1 else 0 end) = 1 as has_fuel
from {{ ref('order_lines') }}
group by order_id
