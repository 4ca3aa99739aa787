{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns'
) }}

{#-
  To add a feature: compute it in one of the CTEs below, select it at the end, describe it in customer_features.yml, and
  add its name to ml_models/problems/lapse/features.py. Then rebuild the history once with BATON_REBUILD_FROM=<first cutoff>.

  Every feature looks back over [cutoff - window_days, cutoff) and no further: lifetime features drift by themselves.
  Columns that are never null are bigint or double; a column that can be null is double.
-#}

{%- set keys = ['customer_id', 'cutoff_date'] -%}
{%- set window_days = var('window_days') -%}

with cutoffs as (

    select cutoff_date, {{ add_days('cutoff_date', -window_days) }} as window_starts_on
    from {{ ref('cutoffs') }}
    where {{ is_due_cutoff('cutoff_date', is_incremental()) }}

),

-- All that any of these cutoffs can see. No cutoff, no rows: the rest of the query then costs nothing.
reach as (

    select min(window_starts_on) as first_day, max(cutoff_date) as end_day
    from cutoffs

),

customer_days as (

    select
        days.*,
        lag(days.ordered_on, 1) over (partition by days.customer_id order by days.ordered_on) as previous_on,
        lag(days.ordered_on, 2) over (partition by days.customer_id order by days.ordered_on) as second_previous_on,
        lag(days.ordered_on, 3) over (partition by days.customer_id order by days.ordered_on) as third_previous_on
    from {{ ref('customer_days') }} as days
    cross join reach
    where days.ordered_on >= reach.first_day and days.ordered_on < reach.end_day
        and {{ in_share('days.customer_id') }}

),

-- One row a customer, cutoff and shopping day in the window. The gap is null for the first shopping day of the window.
days_in_window as (

    select
        cutoffs.cutoff_date,
        customer_days.*,
        case
            when customer_days.previous_on >= cutoffs.window_starts_on
                then {{ days_between('customer_days.previous_on', 'customer_days.ordered_on') }}
        end as gap_days,
        -- Week 1 is the newest seven days before the cutoff, week 12 the oldest of 84 days.
        cast(floor(({{ days_between('customer_days.ordered_on', 'cutoffs.cutoff_date') }} - 1) / 7) as {{ dbt.type_int() }}) + 1 as week
    from cutoffs
    inner join customer_days
        on customer_days.ordered_on >= cutoffs.window_starts_on
        and customer_days.ordered_on < cutoffs.cutoff_date

),

by_day as (

    select
        customer_id,
        cutoff_date,
        min(ordered_on) as first_on,
        max(ordered_on) as last_on,
        max(previous_on) as previous_on,
        max(second_previous_on) as second_previous_on,
        max(third_previous_on) as third_previous_on,
        count(*) as active_days_84d,
        {% for days in [7, 14, 28, 56] -%}
        {{ sum_in_last(days, 'orders') }} as trips_{{ days }}d,
        {% endfor -%}
        {{ big_sum('orders') }} as trips_84d,
        {{ sum_in_last(28, '1') }} as active_days_28d,
        {% for week in [1, 2, 3, 4] -%}
        {{ big_count('week = ' ~ week) }} as active_days_week_{{ week }},
        {% endfor -%}
        {% for days in [7, 14, 28, 56] -%}
        {{ sum_in_last(days, 'amount_cents') }} as spend_cents_{{ days }}d,
        {% endfor -%}
        {{ big_sum('amount_cents') }} as spend_cents_84d,
        max(case when {{ in_last(28) }} then max_order_cents end) as max_basket_cents_28d,
        max(max_order_cents) as max_basket_cents_84d,
        {{ big_sum('lines') }} as lines_84d,
        max(gap_days) as gap_max_days,
        {{ big_sum('gap_days * gap_days') }} as gap_squares,
        {{ sum_in_last(28, 'discount_cents') }} as discount_cents_28d,
        {{ big_sum('discount_cents') }} as discount_cents_84d,
        {{ big_sum('coupon_cents') }} as coupon_cents_84d,
        {{ big_sum('coupon_lines') }} as coupon_lines_84d,
        {{ big_sum('private_label_lines') }} as private_label_lines_84d,
        {% for group in ['produce', 'meat', 'drug', 'fuel'] -%}
        {{ big_sum(group ~ '_cents') }} as {{ group }}_cents_84d,
        {% endfor -%}
        {{ big_sum('fuel_orders') }} as fuel_orders_84d,
        {{ big_sum('weekend_orders') }} as weekend_orders_84d,
        {{ big_sum('evening_orders') }} as evening_orders_84d,
        {{ big_sum('order_hours') }} as order_hours_84d
    from days_in_window
    group by customer_id, cutoff_date

),

gap_medians as (

    {{ median_by(keys, 'gap_days', 'days_in_window', 'gap_median_days') }}

),

weeks as (

    select
        customer_id,
        cutoff_date,
        week,
        count(*) as active_days,
        {{ big_sum('amount_cents') }} as amount_cents
    from days_in_window
    group by customer_id, cutoff_date, week

),

by_week as (

    select
        customer_id,
        cutoff_date,
        count(*) as active_weeks_84d,
        {{ big_sum('amount_cents * amount_cents') }} as spend_squares,
        -- Least squares over 12 weeks, weeks without an order included as zeros. With centred weeks
        -- x = (13 - 2 week) / 2 the slope is sum(x y) / 143, and a zero adds nothing to the sum.
        {{ big_sum('(13 - 2 * week) * amount_cents') }} / 286 as spend_slope_84d,
        {{ big_sum('(13 - 2 * week) * active_days') }} / 286 as active_days_slope_84d
    from weeks
    group by customer_id, cutoff_date

),

stores as (

    select
        orders.customer_id,
        cutoffs.cutoff_date,
        orders.store_id,
        -- Not called `orders`: BigQuery would group by the count where `orders.customer_id` is meant.
        count(*) as visits
    from cutoffs
    inner join {{ ref('orders') }} as orders
        on orders.ordered_on >= cutoffs.window_starts_on
        and orders.ordered_on < cutoffs.cutoff_date
    where {{ in_share('orders.customer_id') }}
    group by orders.customer_id, cutoffs.cutoff_date, orders.store_id

),

by_store as (

    select
        customer_id,
        cutoff_date,
        count(*) as stores_84d,
        {{ ratio('max(visits)', big_sum('visits')) }} as top_store_share_84d
    from stores
    group by customer_id, cutoff_date

),

lines as (

    select
        order_lines.customer_id,
        order_lines.ordered_on,
        order_lines.product_id,
        order_lines.category,
        order_lines.department
    from {{ ref('order_lines') }} as order_lines
    cross join reach
    where order_lines.ordered_on >= reach.first_day and order_lines.ordered_on < reach.end_day
        and {{ in_share('order_lines.customer_id') }}

),

-- Distinct values in a sliding window without counting them per window: a value is counted on the one day that is its
-- last before the cutoff. Less than a third of the time of count(distinct) over the joined lines.
{% for thing in ['product_id', 'category', 'department'] %}
{{ thing }}_days as (

    select distinct customer_id, {{ thing }}, ordered_on
    from lines
    where {{ thing }} is not null

),

{{ thing }}_spans as (

    select
        customer_id,
        ordered_on,
        lead(ordered_on) over (partition by customer_id, {{ thing }} order by ordered_on) as next_on
    from {{ thing }}_days

),

by_{{ thing }} as (

    select
        spans.customer_id,
        cutoffs.cutoff_date,
        count(*) as values_84d,
        {{ big_count(in_last(28)) }} as values_28d
    from cutoffs
    inner join {{ thing }}_spans as spans
        on spans.ordered_on >= cutoffs.window_starts_on
        and spans.ordered_on < cutoffs.cutoff_date
    where spans.next_on is null or spans.next_on >= cutoffs.cutoff_date
    group by spans.customer_id, cutoffs.cutoff_date

),
{% endfor %}

-- The population: who ordered within population_days before the cutoff.
population as (

    select
        *,
        {{ days_between('last_on', 'cutoff_date') }} as recency_days,
        active_days_84d - 1 as gaps,
        {{ days_between('first_on', 'last_on') }} as gap_days
    from by_day
    where last_on >= {{ add_days('cutoff_date', -var('population_days')) }}

),

with_gaps as (

    select
        *,
        {{ ratio('gap_days', 'gaps') }} as gap_mean_days,
        case
            -- Sample standard deviation from integer sums: the same digits on every run.
            when gaps >= 2 then sqrt((gaps * gap_squares - gap_days * gap_days) / (gaps * (gaps - 1)))
        end as gap_std_days
    from population

)

select
    base.customer_id,
    base.cutoff_date,

    -- recency and frequency
    cast(base.recency_days as {{ type_bigint() }}) as recency_days,
    base.trips_7d,
    base.trips_14d,
    base.trips_28d,
    base.trips_56d,
    base.trips_84d,
    base.active_days_28d,
    base.active_days_84d,
    by_week.active_weeks_84d,
    base.active_days_week_1,
    base.active_days_week_2,
    base.active_days_week_3,
    base.active_days_week_4,
    cast({{ days_between('base.first_on', 'base.cutoff_date') }} as {{ type_bigint() }}) as days_since_first_seen_84d,

    -- money
    base.spend_cents_7d,
    base.spend_cents_28d,
    base.spend_cents_56d,
    base.spend_cents_84d,
    base.spend_cents_84d / base.trips_84d as mean_basket_cents_84d,
    base.max_basket_cents_28d,
    base.max_basket_cents_84d,
    base.lines_84d / base.trips_84d as lines_per_trip_84d,

    -- gaps between shopping days
    base.gap_mean_days as gap_mean_days_84d,
    base.gap_std_days as gap_std_days_84d,
    gap_medians.gap_median_days as gap_median_days_84d,
    cast(base.gap_max_days as {{ type_double() }}) as gap_max_days_84d,
    case
        when base.gaps >= 1
            then cast({{ days_between('base.previous_on', 'base.last_on') }} as {{ type_double() }})
    end as gap_last_days_84d,
    case
        when base.gaps >= 3 then {{ days_between('base.third_previous_on', 'base.last_on') }} / 3
        when base.gaps = 2 then {{ days_between('base.second_previous_on', 'base.last_on') }} / 2
        when base.gaps = 1 then {{ days_between('base.previous_on', 'base.last_on') }} / 1
    end as gap_mean_last3_days_84d,
    {{ ratio('base.recency_days', 'base.gap_mean_days') }} as recency_over_gap_mean,
    {{ ratio('base.recency_days', 'base.gap_max_days') }} as recency_over_gap_max,
    {{ ratio('base.recency_days - base.gap_mean_days', 'base.gap_std_days') }} as recency_z,

    -- trend
    by_week.spend_slope_84d,
    by_week.active_days_slope_84d,
    -- Population standard deviation over mean of 12 weeks, from integer sums.
    {{ ratio('sqrt(12 * by_week.spend_squares - base.spend_cents_84d * base.spend_cents_84d)', 'base.spend_cents_84d') }} as spend_cv_84d,
    3 * base.trips_28d / base.trips_84d as trips_ratio_28d_84d,
    2 * base.trips_14d / greatest(base.trips_28d, 1) as trips_ratio_14d_28d,
    {{ ratio('3 * base.spend_cents_28d', 'base.spend_cents_84d') }} as spend_ratio_28d_84d,
    2 * base.spend_cents_14d / greatest(base.spend_cents_28d, 1) as spend_ratio_14d_28d,
    3 * by_category.values_28d / by_category.values_84d as categories_ratio_28d_84d,

    -- breadth
    coalesce(by_category.values_28d, 0) as categories_28d,
    coalesce(by_category.values_84d, 0) as categories_84d,
    coalesce(by_department.values_84d, 0) as departments_84d,
    by_product_id.values_84d / base.lines_84d as distinct_product_ratio_84d,
    by_store.stores_84d,
    by_store.top_store_share_84d,

    -- mix
    base.private_label_lines_84d / base.lines_84d as private_label_share_84d,
    {% for group in ['produce', 'meat', 'drug', 'fuel'] -%}
    {{ ratio('base.' ~ group ~ '_cents_84d', 'base.spend_cents_84d') }} as {{ group }}_share_84d,
    {% endfor -%}
    base.fuel_orders_84d / base.trips_84d as fuel_trip_share_84d,

    -- promotion
    {{ ratio('base.discount_cents_28d', 'base.spend_cents_28d + base.discount_cents_28d') }} as discount_rate_28d,
    {{ ratio('base.discount_cents_84d', 'base.spend_cents_84d + base.discount_cents_84d') }} as discount_rate_84d,
    base.coupon_lines_84d / base.lines_84d as coupon_line_share_84d,
    base.coupon_cents_84d,

    -- time of day and week
    base.weekend_orders_84d / base.trips_84d as weekend_share_84d,
    base.order_hours_84d / base.trips_84d as mean_hour_84d,
    base.evening_orders_84d / base.trips_84d as evening_share_84d

from with_gaps as base
left join gap_medians
    on gap_medians.customer_id = base.customer_id and gap_medians.cutoff_date = base.cutoff_date
left join by_week
    on by_week.customer_id = base.customer_id and by_week.cutoff_date = base.cutoff_date
left join by_store
    on by_store.customer_id = base.customer_id and by_store.cutoff_date = base.cutoff_date
left join by_product_id
    on by_product_id.customer_id = base.customer_id and by_product_id.cutoff_date = base.cutoff_date
left join by_category
    on by_category.customer_id = base.customer_id and by_category.cutoff_date = base.cutoff_date
left join by_department
    on by_department.customer_id = base.customer_id and by_department.cutoff_date = base.cutoff_date
