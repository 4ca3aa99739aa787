{# A folder's schema is the warehouse's schema, without the target's prefix: a table's name is its asset key. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
