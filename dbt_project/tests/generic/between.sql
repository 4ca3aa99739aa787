{# Returns the rows whose `column` is outside lowest … highest, both included; nulls pass. #}
{% test between(model, column, lowest, highest) %}

select *
from {{ model }}
where {{ column }} < {{ lowest }} or {{ column }} > {{ highest }}

{% endtest %}
