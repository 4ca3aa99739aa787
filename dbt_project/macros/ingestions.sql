{# Makes the table of ingestions where no load has made it yet; see resources/ingestions.py. #}
{% macro create_ingestions() -%}
  create table if not exists raw.ingestions (
    stream {{ dbt.type_string() }},
    ingested_at {{ 'timestamp' if target.type == 'bigquery' else 'timestamp with time zone' }}
  )
{%- endmacro %}

{# Where it stands until when each raw table was read. A macro, so that a unit test can give rows. #}
{% macro ingestions() -%}{{ return('raw.ingestions') }}{%- endmacro %}
