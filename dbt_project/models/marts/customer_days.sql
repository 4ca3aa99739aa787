{{ config(partition_by=replace_partition('ordered_on', 'month'), cluster_by=cluster(['customer_id'])) }}

select
    customer_id,
    ordered_on,
    count(*) as orders,
    {{ big_sum('lines') }} as lines,
    {{ big_sum('amount_cents') }} as amount_cents,
    max(amount_cents) as max_order_cents,
    {{ big_sum('discount_cents') }} as discount_cents,
    {{ big_sum('coupon_cents') }} as coupon_cents,
    {{ big_sum('coupon_lines') }} as coupon_lines,
    {{ big_sum('private_label_lines') }} as private_label_lines,
    {{ big_sum('produce_cents') }} as produce_cents,
    {{ big_sum('meat_cents') }} as meat_cents,
    {{ big_sum('drug_cents') }} as drug_cents,
    {{ big_sum('fuel_cents') }} as fuel_cents,
    {{ big_count('has_fuel') }} as fuel_orders,
    {{ big_count(is_weekend('ordered_on')) }} as weekend_orders,
    {{ big_count('extract(hour from ordered_at) >= 17') }} as evening_orders,
    {{ big_sum('extract(hour from ordered_at)') }} as order_hours
from {{ ref('orders') }}
group by customer_id, ordered_on
