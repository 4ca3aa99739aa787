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
  dbt's strategies replace the groups that have new rows, and know nothing of a group that has none any more. These two are
  dbt's own with both ways in which a group can go:

  - a model with `nothing_left` in its `meta` gives a row that meets this condition for each group of which nothing is left:
    the group is replaced, by nothing;
  - a rebuild takes away every cutoff from its day on, also one that is no cutoff any more.

  What goes and what comes is one step: a transaction on DuckDB, one MERGE on BigQuery. Nobody reads a table in between.
#}
{% macro duckdb__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  delete from {{ target }}
  where {{ unique_key }} in (select {{ unique_key }} from {{ source }})
    {%- if unique_key == 'cutoff_date' and rebuild_from() %}
    or cutoff_date >= {{ rebuild_from() }}
    {%- endif %};

  insert into {{ target }} ({{ columns }})
  select {{ columns }} from {{ left_of(source) }}
{%- endmacro %}

{% macro bigquery__get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header=false) -%}
  {%- set replaced = predicates | join(' and ') -%}
  {%- if config.get('unique_key') == 'cutoff_date' and rebuild_from() -%}
    {%- set replaced = '(' ~ replaced ~ ' or DBT_INTERNAL_DEST.cutoff_date >= ' ~ rebuild_from() ~ ')' -%}
  {%- endif -%}
  {{ dbt.default__get_insert_overwrite_merge_sql(target, left_of(source), dest_columns, [replaced], include_sql_header) }}
{%- endmacro %}

{# The new rows without those that stand for a group of which nothing is left. #}
{% macro left_of(source) -%}
  {%- set nothing_left = config.meta_get('nothing_left') -%}
  {{ return('(select * from ' ~ source ~ ' where not (' ~ nothing_left ~ '))' if nothing_left else source) }}
{%- endmacro %}


{#
  The condition that picks the cutoffs to compute: on a first build all, later those that the table does not hold yet,
  and, if a person asked for a rebuild, those from that day on. What was served once stays what training sees; nothing
  late is rewritten silently.
#}
{% macro is_due_cutoff(column, incremental) -%}
  {%- set first = rebuild_from() -%}
  {%- if not incremental -%}
  true
  {%- else -%}
  (
    {{ column }} not in (select cutoff_date from {{ this }})
    {%- if first %}
    or {{ column }} >= {{ first }}
    {%- endif %}
  )
  {%- endif -%}
{%- endmacro %}

{#
  The day from which on a person asked for a rebuild, as SQL; empty if nobody did.

  BATON_REBUILD_FROM is an environment variable because differing `--vars` switch partial parsing off.
#}
{% macro rebuild_from() -%}
  {%- set day = env_var('BATON_REBUILD_FROM', '') -%}
  {%- if day and not modules.re.match('^\\d{4}-\\d{2}-\\d{2}$', day) -%}
    {{ exceptions.raise_compiler_error(
      "BATON_REBUILD_FROM must be a date as in 2024-09-02: cutoffs from that day on are computed again. It is '"
      ~ day ~ "'. Correct it, or unset it to add only new cutoffs."
    ) }}
  {%- endif -%}
  {{ return("cast('" ~ day ~ "' as date)" if day else '') }}
{%- endmacro %}


{#
  CTEs that end in changed_days: the days (`day`, an expression) of `relation` of which rows arrived or went away since
  the table was built, however late. `arrived_at` is the column that says when a row was read.
#}
{% macro changed_days(relation, day, arrived_at) -%}
arrived as (

    select {{ day }} as ordered_on, count(*) as lines, max({{ arrived_at }}) as extracted_at
    from {{ relation }}
    group by 1

),

known as (

    select ordered_on, count(*) as lines, max(extracted_at) as extracted_at
    from {{ this }}
    group by 1

),

changed_days as (

    select coalesce(arrived.ordered_on, known.ordered_on) as ordered_on
    from arrived
    full outer join known on known.ordered_on = arrived.ordered_on
    where known.ordered_on is null
        or known.lines <> arrived.lines
        or known.extracted_at <> arrived.extracted_at
        -- All of its lines went away. Where no day is left at all, the source was not loaded, and what is known stays.
        or (arrived.ordered_on is null and (select count(ordered_on) from arrived) > 0)

)
{%- endmacro %}

{#
  The rows of `relation` to store: all of them, or where `incremental` those of changed_days. A day of which nothing is left is one row
  without a line (`nothing_left`): it replaces the day, and is not stored.
#}
{% macro lines_of_changed_days(relation, incremental) -%}
{% if incremental -%}
select * from changed_days
left join (
    select * from {{ relation }}
    where ordered_on in (select ordered_on from changed_days)
) as lines using (ordered_on)
{%- else -%}
select * from {{ relation }}
{%- endif %}
{%- endmacro %}
