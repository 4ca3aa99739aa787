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
  The condition that picks the cutoffs to compute: those the table does not hold yet, and, if a person asked for a
  rebuild, those from that day on. What was served once stays what training sees; nothing late is rewritten silently.

  BATON_REBUILD_FROM is an environment variable because differing `--vars` switch partial parsing off.
#}
{% macro is_new_cutoff(column) -%}
  {%- set rebuild_from = env_var('BATON_REBUILD_FROM', '') -%}
  {%- if rebuild_from and not modules.re.match('^\\d{4}-\\d{2}-\\d{2}$', rebuild_from) -%}
    {{ exceptions.raise_compiler_error(
      "BATON_REBUILD_FROM must be a date as in 2017-09-04: cutoffs from that day on are computed again. It is '"
      ~ rebuild_from ~ "'. Correct it, or unset it to add only new cutoffs."
    ) }}
  {%- endif -%}
  (
    {{ column }} not in (select cutoff_date from {{ this }})
    {%- if rebuild_from %}
    or {{ column }} >= cast('{{ rebuild_from }}' as date)
    {%- endif %}
  )
{%- endmacro %}


{#
  The condition that picks the cutoffs that this build computes: the new ones, and of these the oldest only where
  BATON_ROWS_AT_ONCE says how many rows one statement may make. A statement's memory grows with its cutoffs times its
  customers; whoever sets the variable builds again until nothing is missing.
#}
{% macro is_due_cutoff(column, incremental) -%}
  {%- set conditions = [is_new_cutoff(column)] if incremental else [] -%}
  {%- set most = env_var('BATON_ROWS_AT_ONCE', '') -%}
  {%- if most and execute and not env_var('BATON_REBUILD_FROM', '') -%}
    {%- set customers = run_query('select count(distinct customer_id) from ' ~ ref('customer_days')).columns[0][0] -%}
    {%- set missing -%}
      select cutoff_date from {{ ref('cutoffs') }}
      {%- if incremental %} where cutoff_date not in (select cutoff_date from {{ this }}){% endif %}
      order by cutoff_date limit {{ [most | int // [customers | int, 1] | max, 1] | max }}
    {%- endset -%}
    {%- do conditions.append(column ~ ' in (' ~ missing ~ ')') -%}
  {%- endif -%}
  {{ conditions | join(' and ') or column ~ ' is not null' }}
{%- endmacro %}
