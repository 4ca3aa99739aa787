{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns'
) }}

{#-
  To add a feature: compute it in one of the CTEs below, select it at the end, and describe it in
  ml_models/problems/lapse/features.py, in the same place. Then rebuild the history once with
  BATON_REBUILD_FROM=<first cutoff>.

  Every feature looks back over [cutoff - window_days, cutoff) and no further: lifetime features drift by themselves.
  The look-back has `periods` of `period_days`; `month` is four of them, or nothing where that is the whole look-back.
  Columns that are never null are bigint or double; a column that can be null is double.
-#}

{%- set keys = ['customer_id', 'cutoff_date'] -%}
{%- set window_days, period_days, periods = var('window_days'), var('period_days'), var('periods') -%}
{%- set windows, shorter, four_periods = var('windows'), var('windows')[:-1], 4 * period_days -%}
{%- set long_windows = [four_periods, window_days] if four_periods < window_days else [window_days] -%}
{%- set first, second = windows[0], windows[1] -%}
{%- set pace = (window_days / four_periods) | int -%}
{%- set period = 'week' if period_days == 7 else 'period' -%}
{#- The slope by least squares needs the sum of squares of the centred, doubled periods: n (n^2 - 1) / 3, halved. -#}
{%- set slope_divisor = (periods * (periods * periods - 1) / 6) | int -%}
{%- set things = [] -%}
{%- if has('products') and has('lines') %}{% do things.append('product_id') %}{% endif -%}
{%- if has('categories') %}{% do things.append('category') %}{% endif -%}
{%- if has('departments') %}{% do things.append('department') %}{% endif -%}

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
        {%- if has('returns') %}
        -- A day on which things only came back is no visit.
        and days.orders > 0
        {%- endif %}
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
        -- Period 1 is the newest before the cutoff; the last one is the oldest of the look-back.
        cast(floor(({{ days_between('customer_days.ordered_on', 'cutoffs.cutoff_date') }} - 1) / {{ period_days }}) as {{ dbt.type_int() }}) + 1 as period
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
        count(*) as active_days,
        {% for days in shorter -%}
        {{ sum_in_last(days, 'orders') }} as trips_{{ days }}d,
        {{ sum_in_last(days, 'amount_cents') }} as spend_cents_{{ days }}d,
        {% endfor -%}
        {{ big_sum('orders') }} as trips_{{ window_days }}d,
        {{ big_sum('amount_cents') }} as spend_cents_{{ window_days }}d,
        {{ sum_in_last(four_periods, '1') }} as active_days_{{ four_periods }}d,
        {% for number in [1, 2, 3, 4] -%}
        {{ big_count('period = ' ~ number) }} as active_days_{{ period }}_{{ number }},
        {% endfor -%}
        {% for days in long_windows -%}
        max(case when {{ in_last(days) }} then max_order_cents end) as max_basket_cents_{{ days }}d,
        {{ sum_in_last(days, 'discount_cents') }} as discount_cents_{{ days }}d,
        {% endfor -%}
        {{ big_sum('lines') }} as order_lines,
        max(gap_days) as gap_max_days,
        {{ big_sum('gap_days * gap_days') }} as gap_squares,
        {{ big_sum('coupon_cents') }} as coupon_cents,
        {{ big_sum('coupon_lines') }} as coupon_lines,
        {{ big_sum('private_label_lines') }} as private_label_lines,
        {% for department in departments() -%}
        {{ big_sum(department.name ~ '_cents') }} as {{ department.name }}_cents,
        {% if department.trips -%}
        {{ big_sum(department.name ~ '_orders') }} as {{ department.name }}_orders,
        {% endif -%}
        {% endfor -%}
        {{ big_sum('weekend_orders') }} as weekend_orders,
        {{ big_sum('evening_orders') }} as evening_orders,
        {{ big_sum('order_hours') }} as order_hours
    from days_in_window
    group by customer_id, cutoff_date

),

gap_medians as (

    {{ median_by(keys, 'gap_days', 'days_in_window', 'gap_median_days') }}

),

by_period_and_day as (

    select
        customer_id,
        cutoff_date,
        period,
        count(*) as active_days,
        {{ big_sum('amount_cents') }} as amount_cents
    from days_in_window
    group by customer_id, cutoff_date, period

),

by_period as (

    select
        customer_id,
        cutoff_date,
        count(*) as active_periods,
        {{ big_sum('amount_cents * amount_cents') }} as spend_squares,
        -- Least squares over all periods, those without an order included as zeros. With centred periods
        -- x = ({{ periods + 1 }} - 2 period) / 2 the slope is sum(x y) / sum(x x), and a zero adds nothing to the sum.
        {{ big_sum('(' ~ (periods + 1) ~ ' - 2 * period) * amount_cents') }} / {{ slope_divisor }} as spend_slope,
        {{ big_sum('(' ~ (periods + 1) ~ ' - 2 * period) * active_days') }} / {{ slope_divisor }} as active_days_slope
    from by_period_and_day
    group by customer_id, cutoff_date

),

{% if has('returns') -%}
returns as (

    select
        days.customer_id,
        cutoffs.cutoff_date,
        {{ big_sum('days.returned_cents') }} as returned_cents
    from cutoffs
    inner join {{ ref('customer_days') }} as days
        on days.ordered_on >= cutoffs.window_starts_on
        and days.ordered_on < cutoffs.cutoff_date
    where days.returned_cents > 0 and {{ in_share('days.customer_id') }}
    group by days.customer_id, cutoffs.cutoff_date

),

{% endif -%}
{% if has('stores') -%}
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
        {%- if has('returns') %}
        and orders.is_visit
        {%- endif %}
    group by orders.customer_id, cutoffs.cutoff_date, orders.store_id

),

by_store as (

    select
        customer_id,
        cutoff_date,
        count(*) as stores,
        {{ ratio('max(visits)', big_sum('visits')) }} as top_store_share
    from stores
    group by customer_id, cutoff_date

),

{% endif -%}
{% if things -%}
lines as (

    select
        order_lines.customer_id,
        {%- for thing in things %}
        order_lines.{{ thing }},
        {%- endfor %}
        order_lines.ordered_on
    from {{ ref('order_lines') }} as order_lines
    cross join reach
    where order_lines.ordered_on >= reach.first_day and order_lines.ordered_on < reach.end_day
        {%- if has('returns') %}
        and not order_lines.is_return
        {%- endif %}
        and {{ in_share('order_lines.customer_id') }}

),

-- Distinct values in a sliding window without counting them per window: a value is counted on the one day that is its
-- last before the cutoff. Less than a third of the time of count(distinct) over the joined lines.
{% for thing in things %}
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
        {%- for days in long_windows %}
        {{ big_count(in_last(days)) }} as values_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from cutoffs
    inner join {{ thing }}_spans as spans
        on spans.ordered_on >= cutoffs.window_starts_on
        and spans.ordered_on < cutoffs.cutoff_date
    where spans.next_on is null or spans.next_on >= cutoffs.cutoff_date
    group by spans.customer_id, cutoffs.cutoff_date

),
{% endfor %}
{% endif -%}

-- The population: who ordered within population_days before the cutoff.
population as (

    select
        *,
        {{ days_between('last_on', 'cutoff_date') }} as recency_days,
        active_days - 1 as gaps,
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
    {% for days in windows -%}
    base.trips_{{ days }}d,
    {% endfor -%}
    {% if four_periods < window_days -%}
    base.active_days_{{ four_periods }}d,
    {% endif -%}
    base.active_days as active_days_{{ window_days }}d,
    by_period.active_periods as active_{{ period }}s_{{ window_days }}d,
    {% for number in [1, 2, 3, 4] -%}
    base.active_days_{{ period }}_{{ number }},
    {% endfor -%}
    cast({{ days_between('base.first_on', 'base.cutoff_date') }} as {{ type_bigint() }}) as days_since_first_seen_{{ window_days }}d,

    -- money
    {% for days in windows if days != second -%}
    base.spend_cents_{{ days }}d,
    {% endfor -%}
    base.spend_cents_{{ window_days }}d / base.trips_{{ window_days }}d as mean_basket_cents_{{ window_days }}d,
    {% for days in long_windows -%}
    base.max_basket_cents_{{ days }}d,
    {% endfor -%}
    {% if has('lines') -%}
    base.order_lines / base.trips_{{ window_days }}d as lines_per_trip_{{ window_days }}d,
    {% endif %}
    -- gaps between shopping days
    base.gap_mean_days as gap_mean_days_{{ window_days }}d,
    base.gap_std_days as gap_std_days_{{ window_days }}d,
    gap_medians.gap_median_days as gap_median_days_{{ window_days }}d,
    cast(base.gap_max_days as {{ type_double() }}) as gap_max_days_{{ window_days }}d,
    case
        when base.gaps >= 1
            then cast({{ days_between('base.previous_on', 'base.last_on') }} as {{ type_double() }})
    end as gap_last_days_{{ window_days }}d,
    case
        when base.gaps >= 3 then {{ days_between('base.third_previous_on', 'base.last_on') }} / 3
        when base.gaps = 2 then {{ days_between('base.second_previous_on', 'base.last_on') }} / 2
        when base.gaps = 1 then {{ days_between('base.previous_on', 'base.last_on') }} / 1
    end as gap_mean_last3_days_{{ window_days }}d,
    {{ ratio('base.recency_days', 'base.gap_mean_days') }} as recency_over_gap_mean,
    {{ ratio('base.recency_days', 'base.gap_max_days') }} as recency_over_gap_max,
    {{ ratio('base.recency_days - base.gap_mean_days', 'base.gap_std_days') }} as recency_z,

    -- trend
    {% set spend, trips = 'base.spend_cents_' ~ window_days ~ 'd', 'base.trips_' ~ window_days ~ 'd' -%}
    by_period.spend_slope as spend_slope_{{ window_days }}d,
    by_period.active_days_slope as active_days_slope_{{ window_days }}d,
    -- Population standard deviation over mean of all periods, from integer sums.
    {{ ratio('sqrt(' ~ periods ~ ' * by_period.spend_squares - ' ~ spend ~ ' * ' ~ spend ~ ')', spend) }} as spend_cv_{{ window_days }}d,
    {% if pace > 1 -%}
    {{ pace }} * base.trips_{{ four_periods }}d / {{ trips }} as trips_ratio_{{ four_periods }}d_{{ window_days }}d,
    {% endif -%}
    2 * base.trips_{{ second }}d / greatest(base.trips_{{ four_periods }}d, 1) as trips_ratio_{{ second }}d_{{ four_periods }}d,
    {% if pace > 1 -%}
    {{ ratio(pace ~ ' * base.spend_cents_' ~ four_periods ~ 'd', spend) }} as spend_ratio_{{ four_periods }}d_{{ window_days }}d,
    {% endif -%}
    2 * base.spend_cents_{{ second }}d / greatest(base.spend_cents_{{ four_periods }}d, 1) as spend_ratio_{{ second }}d_{{ four_periods }}d,
    {% if pace > 1 and has('categories') -%}
    {{ pace }} * by_category.values_{{ four_periods }}d / by_category.values_{{ window_days }}d as categories_ratio_{{ four_periods }}d_{{ window_days }}d,
    {% endif %}
    -- breadth
    {% if has('categories') -%}
    {% for days in long_windows -%}
    coalesce(by_category.values_{{ days }}d, 0) as categories_{{ days }}d,
    {% endfor -%}
    {% endif -%}
    {% if has('departments') -%}
    coalesce(by_department.values_{{ window_days }}d, 0) as departments_{{ window_days }}d,
    {% endif -%}
    {% if has('products') and has('lines') -%}
    by_product_id.values_{{ window_days }}d / base.order_lines as distinct_product_ratio_{{ window_days }}d,
    {% endif -%}
    {% if has('stores') -%}
    by_store.stores as stores_{{ window_days }}d,
    by_store.top_store_share as top_store_share_{{ window_days }}d,
    {% endif %}
    -- mix
    {% if has('private_label') -%}
    base.private_label_lines / base.order_lines as private_label_share_{{ window_days }}d,
    {% endif -%}
    {% for department in departments() -%}
    {{ ratio('base.' ~ department.name ~ '_cents', spend) }} as {{ department.name }}_share_{{ window_days }}d,
    {% endfor -%}
    {% for department in departments() if department.trips -%}
    base.{{ department.name }}_orders / {{ trips }} as {{ department.name }}_trip_share_{{ window_days }}d,
    {% endfor %}
    -- promotion
    {% if has('discounts') -%}
    {% for days in long_windows -%}
    {{ ratio('base.discount_cents_' ~ days ~ 'd', 'base.spend_cents_' ~ days ~ 'd + base.discount_cents_' ~ days ~ 'd') }} as discount_rate_{{ days }}d,
    {% endfor -%}
    {% endif -%}
    {% if has('coupons') -%}
    base.coupon_lines / base.order_lines as coupon_line_share_{{ window_days }}d,
    base.coupon_cents as coupon_cents_{{ window_days }}d,
    {% endif -%}
    {% if has('returns') -%}
    {{ ratio('coalesce(returns.returned_cents, 0)', spend) }} as returned_ratio_{{ window_days }}d,
    {% endif %}
    -- time of day and week
    base.weekend_orders / {{ trips }} as weekend_share_{{ window_days }}d
    {%- if has('hours') %},
    base.order_hours / {{ trips }} as mean_hour_{{ window_days }}d,
    base.evening_orders / {{ trips }} as evening_share_{{ window_days }}d
    {%- endif %}

from with_gaps as base
left join gap_medians
    on gap_medians.customer_id = base.customer_id and gap_medians.cutoff_date = base.cutoff_date
left join by_period
    on by_period.customer_id = base.customer_id and by_period.cutoff_date = base.cutoff_date
{%- if has('stores') %}
left join by_store
    on by_store.customer_id = base.customer_id and by_store.cutoff_date = base.cutoff_date
{%- endif %}
{%- if has('returns') %}
left join returns
    on returns.customer_id = base.customer_id and returns.cutoff_date = base.cutoff_date
{%- endif %}
{%- for thing in things %}
left join by_{{ thing }}
    on by_{{ thing }}.customer_id = base.customer_id and by_{{ thing }}.cutoff_date = base.cutoff_date
{%- endfor %}
