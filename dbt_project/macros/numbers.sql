{# Money is integer cents from staging on: sums of floats differ from run to run, sums of integers do not. #}
{% macro cents(amount) -%}
  cast(round(({{ amount }}) * 100) as {{ type_bigint() }})
{%- endmacro %}


{# DuckDB sums integers into HUGEINT, which pandas reads as float or object. #}
{% macro big_sum(expression) -%}
  cast(coalesce(sum({{ expression }}), 0) as {{ type_bigint() }})
{%- endmacro %}


{% macro big_count(condition) -%}
  {{ big_sum("case when " ~ condition ~ " then 1 else 0 end") }}
{%- endmacro %}


{# Null instead of a division by zero. Integers divide into a double on DuckDB and BigQuery alike. #}
{% macro ratio(numerator, denominator) -%}
  ({{ numerator }}) / nullif({{ denominator }}, 0)
{%- endmacro %}


{# dbt.type_bigint() is a name that BigQuery accepts and its analyzer does not. #}
{% macro type_bigint() %}{{ return(adapter.dispatch('type_bigint', 'baton')()) }}{% endmacro %}
{% macro default__type_bigint() %}int64{% endmacro %}
{% macro duckdb__type_bigint() %}bigint{% endmacro %}


{# dbt.type_float() has 32 bits on DuckDB. #}
{% macro type_double() %}{{ return(adapter.dispatch('type_double', 'baton')()) }}{% endmacro %}
{% macro default__type_double() %}float64{% endmacro %}
{% macro duckdb__type_double() %}double{% endmacro %}


{# A select of `keys` and the exact median of `value` within them, as `as_column`; nulls do not count. #}
{% macro median_by(keys, value, from_relation, as_column) %}
  {{ return(adapter.dispatch('median_by', 'baton')(keys, value, from_relation, as_column)) }}
{% endmacro %}

{# BigQuery's exact percentile is a window function only; its aggregate is approximate. #}
{% macro default__median_by(keys, value, from_relation, as_column) -%}
  select distinct
    {{ keys | join(', ') }},
    percentile_cont({{ value }}, 0.5) over (partition by {{ keys | join(', ') }}) as {{ as_column }}
  from {{ from_relation }}
{%- endmacro %}

{# With median() the whole statement takes seven times the memory, and twice the time (DuckDB 2.0.0; docs/scale.md). #}
{% macro duckdb__median_by(keys, value, from_relation, as_column) -%}
  select
    {{ keys | join(', ') }},
    cast(list_aggregate(list({{ value }}), 'median') as double) as {{ as_column }}
  from {{ from_relation }}
  group by {{ keys | join(', ') }}
{%- endmacro %}
