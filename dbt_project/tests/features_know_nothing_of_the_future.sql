{{ config(meta={
    'dagster': {'ref': {'name': 'customer_features'}},
    'description': 'No feature counts more than there was before its cutoff, counted again from the order lines.',
}) }}
{#
  As-of audit: counts again, the slow way and from the lines themselves, what was there in [cutoff - window_days, cutoff),
  and returns the feature rows that claim more. A leak can only add: one more day, order, product, category or store.
  One-sided on purpose: an order that arrived after its cutoff was served makes the count larger than the feature, and
  that is not a leak.

  Customers whose identifier's hash ends in 0, one in sixteen, and all cutoffs: a leak is in the query and so in every
  customer, and counting distinct values for everybody takes longer than building the features. With more than 25,000
  customers those whose hash ends in 00, and so on: some thousands at most.
#}

{%- set back = var('window_days') -%}
{%- set breadth = [] -%}
{%- if has('categories') %}{% do breadth.append(('category', 'categories')) %}{% endif -%}
{%- if has('departments') %}{% do breadth.append(('department', 'departments')) %}{% endif -%}
{%- if has('stores') %}{% do breadth.append(('store_id', 'stores')) %}{% endif %}

with sample as (

    select concat('%', repeat('0', length(cast(cast(floor(count(*) / 2500) as {{ type_bigint() }}) as {{ dbt.type_string() }})))) as ending
    from {{ ref('customer_features') }}
    where cutoff_date = (select max(cutoff_date) from {{ ref('customer_features') }})

),

features as (

    select customer_features.*
    from {{ ref('customer_features') }} as customer_features
    cross join sample
    where {{ dbt.hash('customer_features.customer_id') }} like sample.ending

),

recounted as (

    select
        features.customer_id,
        features.cutoff_date,
        max(lines.ordered_on) as last_on,
        count(*) as lines,
        count(distinct lines.ordered_on) as active_days,
        count(distinct lines.order_id) as trips,
        {%- for column, name in breadth %}
        count(distinct lines.{{ column }}) as {{ name }},
        {%- endfor %}
        count(distinct lines.product_id) as products
    from features
    inner join {{ ref('order_lines') }} as lines
        on lines.customer_id = features.customer_id
        and lines.ordered_on >= {{ add_days('features.cutoff_date', -var('window_days')) }}
        and lines.ordered_on < features.cutoff_date
    where not lines.is_return
    group by features.customer_id, features.cutoff_date

)

select
    features.customer_id,
    features.cutoff_date,
    features.recency_days,
    features.trips_{{ back }}d,
    recounted.trips as trips_before_cutoff
from features
left join recounted
    on recounted.customer_id = features.customer_id
    and recounted.cutoff_date = features.cutoff_date
where recounted.customer_id is null
    or features.recency_days < {{ days_between('recounted.last_on', 'features.cutoff_date') }}
    or features.active_days_{{ back }}d > recounted.active_days
    or features.trips_{{ back }}d > recounted.trips
    {%- for column, name in breadth %}
    or features.{{ name }}_{{ back }}d > recounted.{{ name }}
    {%- endfor %}
    {%- if has('lines') %}
    or round(features.lines_per_trip_{{ back }}d * features.trips_{{ back }}d) > recounted.lines
    {%- if has('products') %}
    or round(features.distinct_product_ratio_{{ back }}d * features.lines_per_trip_{{ back }}d * features.trips_{{ back }}d) > recounted.products
    {%- endif %}
    {%- endif %}
