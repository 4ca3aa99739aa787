{# One scan for many columns. Returns, for each column that has nulls, its name and how many. #}
{% test never_null(model, columns) %}

{% for column in columns -%}
select '{{ column }}' as column_name, missing
from (select count(*) - count({{ column }}) as missing from {{ model }}) as counted
where missing > 0
{% if not loop.last %}union all{% endif %}
{% endfor %}

{% endtest %}
