{# The strategy that replaces whole `by` groups (a cutoff, a day) on each engine. #}
{% macro replace_strategy() -%}
  {{ return('insert_overwrite' if target.type == 'bigquery' else 'delete+insert') }}
{%- endmacro %}

{# BigQuery stores a table by day or month of a date and reads only those that a query names; DuckDB needs no such thing. #}
{% macro replace_partition(by, granularity='day') -%}
  {{ return({'field': by, 'data_type': 'date', 'granularity': granularity} if target.type == 'bigquery' else none) }}
{%- endmacro %}

{# Within a partition BigQuery keeps rows together that have the same value of these columns. #}
{% macro cluster(columns) -%}
  {{ return(columns if target.type == 'bigquery' else none) }}
{%- endmacro %}


{#
  The condition that picks the cutoffs to compute: on a first build all, later those that the table does not hold yet,
  and, if a person asked for a rebuild, those from that day on. What was served once stays what training sees; nothing
  late is rewritten silently.

  BATON_REBUILD_FROM is an environment variable because differing `--vars` switch partial parsing off.
#}
{% macro is_due_cutoff(column, incremental) -%}
  {%- set rebuild_from = env_var('BATON_REBUILD_FROM', '') -%}
  {%- if rebuild_from and not modules.re.match('^\\d{4}-\\d{2}-\\d{2}$', rebuild_from) -%}
    {{ exceptions.raise_compiler_error(
      "BATON_REBUILD_FROM must be a date as in 2017-09-04: cutoffs from that day on are computed again. It is '"
      ~ rebuild_from ~ "'. Correct it, or unset it to add only new cutoffs."
    ) }}
  {%- endif -%}
  {%- if not incremental -%}
  true
  {%- else -%}
  (
    {{ column }} not in (select cutoff_date from {{ this }})
    {%- if rebuild_from %}
    or {{ column }} >= cast('{{ rebuild_from }}' as date)
    {%- endif %}
  )
  {%- endif -%}
{%- endmacro %}
