{{ config(materialized='view') }}

-- A view: the lines are stored once, in staging, and a corrected product reaches every reader at the next build.
select
    lines.customer_id,
    lines.order_id,
    lines.product_id,
    lines.store_id,
    lines.ordered_at,
    lines.ordered_on,
    lines.quantity,
    lines.amount_cents,
    lines.discount_cents,
    lines.coupon_cents,
    lines.is_return
    {%- if has('products') %},
    products.department,
    -- Lines of products that the product list does not know keep a null department and category.
    coalesce(products.department_group, 'other') as department_group,
    products.category,
    coalesce(products.is_private_label, false) as is_private_label
    {%- endif %}
from {{ ref('stg_order_lines') }} as lines
{%- if has('products') %}
left join {{ ref('stg_products') }} as products
    on products.product_id = lines.product_id
{%- endif %}
