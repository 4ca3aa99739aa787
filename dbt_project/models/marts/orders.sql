{{ config(partition_by=replace_partition('ordered_on', 'month'), cluster_by=cluster(['customer_id'])) }}

-- What was bought counts; what came back stands beside it, and an order of returns alone is no visit.
select
    order_id,
    -- An order has one customer, store and time; min() says so without a second key to group by.
    min(customer_id) as customer_id,
    min(store_id) as store_id,
    min(ordered_at) as ordered_at,
    min(ordered_on) as ordered_on,
    {% if has('returns') -%}
    {{ big_count('not is_return') }} as lines,
    {% else -%}
    count(*) as lines,
    {% endif -%}
    {{ sum_bought('amount_cents') }} as amount_cents,
    {{ sum_bought('discount_cents') }} as discount_cents,
    {{ sum_bought('coupon_cents') }} as coupon_cents,
    {{ big_count('coupon_cents > 0') }} as coupon_lines,
    {% if has('private_label') -%}
    {{ big_count('is_private_label') }} as private_label_lines,
    {% else -%}
    cast(0 as {{ type_bigint() }}) as private_label_lines,
    {% endif -%}
    {% for department in departments() -%}
    {{ sum_bought("case when department_group = '" ~ department.name ~ "' then amount_cents else 0 end") }} as {{ department.name }}_cents,
    {% if department.trips -%}
    max(case when department_group = '{{ department.name }}' then 1 else 0 end) = 1 as has_{{ department.name }},
    {% endif -%}
    {% endfor -%}
    {% if has('returns') -%}
    {{ big_sum('case when is_return then abs(amount_cents) else 0 end') }} as returned_cents,
    max(case when is_return then 0 else 1 end) = 1 as is_visit
    {%- else -%}
    cast(0 as {{ type_bigint() }}) as returned_cents,
    true as is_visit
    {%- endif %}
from {{ ref('order_lines') }}
group by order_id
