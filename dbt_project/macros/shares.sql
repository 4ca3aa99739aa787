{#
  Tables of many customers are made a share of the customers at a time: a statement's memory grows with the events that it
  reads, and cutoffs look back over the same events, so that a statement a cutoff would read them a dozen times.

  A model takes part by the condition in_share() on each of its readings of events. On DuckDB it is true, with a note that
  says where a share's condition goes when create_table_as() makes the table; BigQuery has the memory.
#}
{% macro in_share(column) -%}
  true {%- if target.type == 'duckdb' %} /* share of {{ column }} */{% endif %}
{%- endmacro %}


{# dbt-duckdb's statement, and as many more as there are shares. All are one transaction: the table is whole or is not. #}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
  {%- set note = 'true /\\* share of (\\S+) \\*/' -%}
  {#- A unit test gives a model rows of its own, and few. -#}
  {%- set divided = language == 'sql' and model.resource_type == 'model' and modules.re.search(note, compiled_code) -%}
  {%- set shares = shares_needed() if divided else 1 -%}
  {%- for share in range(shares) -%}
    {%- set condition = 'hash(\\1) % ' ~ shares ~ ' = ' ~ share -%}
    {%- set code = modules.re.sub(note, condition, compiled_code) if shares > 1 else compiled_code -%}
    {%- if loop.first %}
      {{ dbt.duckdb__create_table_as(temporary, relation, code, language, partitioned_by, sorted_by) }}
    {%- else %}
      ; insert into {{ relation.include(database=(not temporary), schema=(not temporary)) }} ({{ code }})
    {%- endif %}
  {%- endfor -%}
{%- endmacro %}


{# How many shares the cutoffs to compute need, by the order lines that they can see. #}
{% macro shares_needed() -%}
  {%- set at_once = env_var('BATON_LINES_AT_ONCE', '8000000') -%}
  {%- if not modules.re.match('^[1-9]\\d*$', at_once) -%}
    {{ exceptions.raise_compiler_error(
      "BATON_LINES_AT_ONCE must be a number of order lines as in 8000000: what one statement reads. It is '" ~ at_once
      ~ "'. Correct it, or unset it."
    ) }}
  {%- endif -%}
  {%- set seen -%}
    select coalesce(sum(lines), 0) from {{ ref('customer_days') }}
    where ordered_on >= (
      select {{ add_days('min(cutoff_date)', -var('window_days')) }}
      from {{ ref('cutoffs') }}
      where {{ is_due_cutoff('cutoff_date', is_incremental()) }}
    )
  {%- endset -%}
  {{ return([(run_query(seen).columns[0][0] / at_once | int) | round(0, 'ceil') | int, 1] | max) }}
{%- endmacro %}
