{{ config(meta={'dagster': {'ref': {'name': 'customer_features'}}}) }}
{#
  As-of audit: counts again, the slow way and from the lines themselves, what was there in [cutoff - window_days, cutoff),
  and returns the feature rows that claim more. A leak can only add: one more day, order, product, category or store.
  One-sided on purpose: an order that arrived after its cutoff was served makes the count larger than the feature, and
  that is not a leak.

  Customers whose identifier ends in 0, one in ten, and all cutoffs: a leak is in the query and so in every customer, and
  counting distinct values for everybody takes longer than building the features. With more than 25,000 customers those
  that end in 00, and so on: some thousands at most.
#}

with sample as (

    select concat('%', repeat('0', length(cast(cast(floor(count(*) / 2500) as {{ type_bigint() }}) as {{ dbt.type_string() }})))) as ending
    from {{ ref('customer_features') }}
    where cutoff_date = (select max(cutoff_date) from {{ ref('customer_features') }})

),

features as (

    select customer_features.*
    from {{ ref('customer_features') }} as customer_features
    cross join sample
    where customer_features.customer_id like sample.ending

),

recounted as (

    select
        features.customer_id,
        features.cutoff_date,
        max(lines.ordered_on) as last_on,
        count(*) as lines,
        count(distinct lines.ordered_on) as active_days,
        count(distinct lines.order_id) as trips,
        count(distinct lines.product_id) as products,
        count(distinct lines.category) as categories,
        count(distinct lines.department) as departments,
        count(distinct lines.store_id) as stores
    from features
    inner join {{ ref('order_lines') }} as lines
        on lines.customer_id = features.customer_id
        and lines.ordered_on >= {{ add_days('features.cutoff_date', -var('window_days')) }}
        and lines.ordered_on < features.cutoff_date
    group by features.customer_id, features.cutoff_date

)

select
    features.customer_id,
    features.cutoff_date,
    features.recency_days,
    features.trips_84d,
    recounted.trips as trips_before_cutoff
from features
left join recounted
    on recounted.customer_id = features.customer_id
    and recounted.cutoff_date = features.cutoff_date
where recounted.customer_id is null
    or features.recency_days < {{ days_between('recounted.last_on', 'features.cutoff_date') }}
    or features.active_days_84d > recounted.active_days
    or features.trips_84d > recounted.trips
    or features.categories_84d > recounted.categories
    or features.departments_84d > recounted.departments
    or features.stores_84d > recounted.stores
    or round(features.lines_per_trip_84d * features.trips_84d) > recounted.lines
    or round(features.distinct_product_ratio_84d * features.lines_per_trip_84d * features.trips_84d) > recounted.products
