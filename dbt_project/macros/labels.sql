{# What each statement says about itself: Dagster's run and asset, and the node. `resources/dbt.py` sets the variable. #}
{% macro job_labels(node) -%}
  {%- set labels = fromjson(env_var('BATON_JOB_LABELS', '{}')) -%}
  {%- do labels.update({'app': 'dbt'}) -%}
  {%- if node -%}
    {%- do labels.update({'dbt_node': node.name}) -%}
  {%- endif -%}
  {{ return(tojson(labels)) }}
{%- endmacro %}
