{{ config(materialized='view') }}

{#- Where each line says what its product is, a product that is placed elsewhere later changes no line of before. -#}
{%- set known_by = 'lines' if var('levels_in_lines') else 'products' %}

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
    {{ known_by }}.department,
    -- Lines of products that the product list does not know keep a null department and category.
    {% if var('levels_in_lines') -%}
    {{ department_group('lines.department') }} as department_group,
    {% else -%}
    coalesce(products.department_group, 'other') as department_group,
    {% endif -%}
    {{ known_by }}.category,
    {%- if has('product_types') %}
    {{ known_by }}.product_type,
    {%- endif %}
    coalesce({{ known_by }}.is_private_label, false) as is_private_label
    {%- endif %}
from {{ ref('stg_order_lines') }} as lines
{%- if has('products') and not var('levels_in_lines') %}
left join {{ ref('stg_products') }} as products
    on products.product_id = lines.product_id
{%- endif %}
