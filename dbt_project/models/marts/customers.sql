with shoppers as (

    select
        customer_id,
        min(ordered_on) as first_order_on,
        max(ordered_on) as last_order_on,
        {{ big_sum('orders') }} as orders,
        {{ big_sum('amount_cents') }} as amount_cents
    from {{ ref('customer_days') }}
    {%- if has('returns') %}
    where orders > 0
    {%- endif %}
    group by customer_id

)
{%- if has('customers') %},

everyone as (

    select customer_id from shoppers
    union distinct
    select customer_id from {{ ref('stg_customers') }}

)

select
    everyone.customer_id,
    shoppers.first_order_on,
    shoppers.last_order_on,
    coalesce(shoppers.orders, 0) as orders,
    coalesce(shoppers.amount_cents, 0) as amount_cents,
    details.customer_id is not null as has_attributes
    {%- for attribute in var('attributes') %},
    details.{{ attribute }}
    {%- endfor %}
from everyone
left join shoppers on shoppers.customer_id = everyone.customer_id
left join {{ ref('stg_customers') }} as details on details.customer_id = everyone.customer_id
{%- else %}

select * from shoppers
{%- endif %}
