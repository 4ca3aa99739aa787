{#
  Whether a customer is one of those to learn from: `learned_share` of them, the same ones at every cutoff and on every
  engine. A hash below a bound: who is in does not depend on who else is there.
#}
{% macro in_learned_share(column) -%}
  {%- set share = var('learned_share') -%}
  {%- if share >= 1 -%}
  true
  {%- else -%}
  {{ dbt.hash(column) }} < '{{ '%08x' % ((share * 16 ** 8) | int) }}'
  {%- endif -%}
{%- endmacro %}


{#
  Whether a cutoff is one to learn from: one of each horizon, so that no purchase is the label of two. Counted from a day that
  is the same for everybody, so that a later build learns from the same ones.
#}
{% macro is_learned_cutoff(column) -%}
  mod(cast(floor({{ days_between("date '1900-01-01'", column) }} / {{ var('cadence_days') }}) as {{ type_bigint() }}), {{ var('horizon_cutoffs') }}) = 0
{%- endmacro %}


{#
  On which days each customer bought which product type, within a model's `reach` (its `first_day` and `end_day`). What came
  back was not bought. The model may go on with conditions of its own on `lines`.
#}
{% macro types_bought() -%}
  select distinct lines.customer_id, lines.product_type, lines.ordered_on
    from {{ ref('order_lines') }} as lines
    cross join reach
    where lines.ordered_on >= reach.first_day and lines.ordered_on < reach.end_day
        and lines.product_type is not null
        {%- if has('returns') %}
        and not lines.is_return
        {%- endif %}
{%- endmacro %}
