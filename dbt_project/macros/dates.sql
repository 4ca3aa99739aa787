{# dbt.dateadd gives a TIMESTAMP on DuckDB and a DATETIME on BigQuery; these keep dates dates. #}

{% macro add_days(date, days) %}{{ return(adapter.dispatch('add_days', 'baton')(date, days)) }}{% endmacro %}

{% macro default__add_days(date, days) -%}
  date_add({{ date }}, interval {{ days }} day)
{%- endmacro %}

{% macro duckdb__add_days(date, days) -%}
  ({{ date }} + cast({{ days }} as integer))
{%- endmacro %}


{# Whole days from `earlier` to `later`, as an integer. #}
{% macro days_between(earlier, later) %}{{ return(adapter.dispatch('days_between', 'baton')(earlier, later)) }}{% endmacro %}

{% macro default__days_between(earlier, later) -%}
  date_diff({{ later }}, {{ earlier }}, day)
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}
  ({{ later }} - {{ earlier }})
{%- endmacro %}


{# A timestamp without a zone that means UTC -> the wall clock of the `time_zone` var, again without a zone. #}
{% macro local_timestamp(utc_timestamp) %}{{ return(adapter.dispatch('local_timestamp', 'baton')(utc_timestamp)) }}{% endmacro %}

{% macro default__local_timestamp(utc_timestamp) -%}
  datetime(cast({{ utc_timestamp }} as timestamp), '{{ var("time_zone") }}')
{%- endmacro %}

{% macro duckdb__local_timestamp(utc_timestamp) -%}
  timezone('{{ var("time_zone") }}', timezone('UTC', {{ utc_timestamp }}))
{%- endmacro %}


{# An instant (a timestamp with a zone) -> the day it falls on by the `time_zone` var. #}
{% macro local_date_of_instant(instant) %}{{ return(adapter.dispatch('local_date_of_instant', 'baton')(instant)) }}{% endmacro %}

{% macro default__local_date_of_instant(instant) -%}
  date({{ instant }}, '{{ var("time_zone") }}')
{%- endmacro %}

{% macro duckdb__local_date_of_instant(instant) -%}
  cast(timezone('{{ var("time_zone") }}', {{ instant }}) as date)
{%- endmacro %}


{% macro is_weekend(date) %}{{ return(adapter.dispatch('is_weekend', 'baton')(date)) }}{% endmacro %}

{% macro default__is_weekend(date) -%}
  extract(dayofweek from {{ date }}) in (1, 7)
{%- endmacro %}

{% macro duckdb__is_weekend(date) -%}
  isodow({{ date }}) in (6, 7)
{%- endmacro %}


{# A select of one column `as_column`: `first`, then every `step` days up to and including `last`. No row if `last` is null. #}
{% macro dates_from_to(first, last, step, from_relation, as_column) %}
  {{ return(adapter.dispatch('dates_from_to', 'baton')(first, last, step, from_relation, as_column)) }}
{% endmacro %}

{% macro default__dates_from_to(first, last, step, from_relation, as_column) -%}
  select {{ as_column }}
  from {{ from_relation }}, unnest(generate_date_array({{ first }}, {{ last }}, interval {{ step }} day)) as {{ as_column }}
{%- endmacro %}

{% macro duckdb__dates_from_to(first, last, step, from_relation, as_column) -%}
  select cast(unnest(generate_series({{ first }}, {{ last }}, interval {{ step }} day)) as date) as {{ as_column }}
  from {{ from_relation }}
{%- endmacro %}


{# The date if it is a Monday, else the Monday after it; 1 January 1900 was one. #}
{% macro next_monday(date) -%}
  {%- set since = days_between("date '1900-01-01'", date) -%}
  {{ add_days(date, 'mod(7 - mod(' ~ since ~ ', 7), 7)') }}
{%- endmacro %}
