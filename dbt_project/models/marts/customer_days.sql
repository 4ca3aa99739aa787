{{ config(partition_by=replace_partition('ordered_on', 'month'), cluster_by=cluster(['customer_id'])) }}

select
    customer_id,
    ordered_on,
    {% if has('returns') -%}
    {{ big_count('is_visit') }} as orders,
    {% else -%}
    count(*) as orders,
    {% endif -%}
    {{ big_sum('lines') }} as lines,
    {{ big_sum('amount_cents') }} as amount_cents,
    max(amount_cents) as max_order_cents,
    {{ big_sum('discount_cents') }} as discount_cents,
    {{ big_sum('coupon_cents') }} as coupon_cents,
    {{ big_sum('coupon_lines') }} as coupon_lines,
    {{ big_sum('private_label_lines') }} as private_label_lines,
    {% for department in departments() -%}
    {{ big_sum(department.name ~ '_cents') }} as {{ department.name }}_cents,
    {% if department.trips -%}
    {{ count_visits('has_' ~ department.name) }} as {{ department.name }}_orders,
    {% endif -%}
    {% endfor -%}
    {{ count_visits(is_weekend('ordered_on')) }} as weekend_orders,
    {{ count_visits('extract(hour from ordered_at) >= 17') }} as evening_orders,
    {% if has('returns') -%}
    {{ big_sum('case when is_visit then extract(hour from ordered_at) end') }} as order_hours,
    {% else -%}
    {{ big_sum('extract(hour from ordered_at)') }} as order_hours,
    {% endif -%}
    {{ big_sum('returned_cents') }} as returned_cents
from {{ ref('orders') }}
group by customer_id, ordered_on
