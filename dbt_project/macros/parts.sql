{# Whether the company has an optional part, such as stores or coupons; companies/<name>/company.toml says so. #}
{% macro has(part) -%}{{ return(part in var('parts')) }}{%- endmacro %}


{# The departments whose shares of the spend are features: name, values, trips. None without departments. #}
{% macro departments() -%}{{ return(var('departments') if has('departments') else []) }}{%- endmacro %}


{# The name under which the company counts a department; 'other' for all that it does not name. #}
{% macro department_group(department) -%}
  {%- set named = departments() -%}
  {%- if named -%}
  case
  {%- for one in named %}
    when {{ department }} in (
      {%- for value in one['values'] %}'{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
    ) then '{{ one.name }}'
  {%- endfor %}
    else 'other'
  end
  {%- else -%}
  'other'
  {%- endif -%}
{%- endmacro %}


{# The sum over what was bought; where returns are known, without these. #}
{% macro sum_bought(column) -%}
  {{ big_sum('case when not is_return then ' ~ column ~ ' else 0 end' if has('returns') else column) }}
{%- endmacro %}


{# The orders that meet a condition and are visits: something was bought. #}
{% macro count_visits(condition) -%}
  {{ big_count(condition ~ ' and is_visit' if has('returns') else condition) }}
{%- endmacro %}
