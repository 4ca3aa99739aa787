{# Conditions and sums over the last days before a cutoff; the relation has the columns `ordered_on` and `cutoff_date`. #}

{% macro in_last(days) -%}
  ordered_on >= {{ add_days('cutoff_date', -days) }}
{%- endmacro %}

{% macro sum_in_last(days, column) -%}
  {{ big_sum('case when ' ~ in_last(days) ~ ' then ' ~ column ~ ' else 0 end') }}
{%- endmacro %}
