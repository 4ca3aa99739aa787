{{ config(partition_by=replace_partition('cutoff_date'), cluster_by=cluster(['customer_id'])) }}

{#-
  The decayed mean: the look-back in parts of `month` days, the newest counted most, the oldest once. What is known of a
  customer for a week only is drawn towards everybody's mean by `pull` days of the newest part.
-#}
{%- set window_days, period_days = var('window_days'), var('period_days') -%}
{%- set month = [4 * period_days, window_days] | min -%}
{%- set months = (window_days / month) | int -%}
{%- set pull = period_days * months -%}
{%- set horizon = var('horizon_days') -%}
{#- Who almost surely stays away is not told to be worth a fortune if they do not. -#}
{%- set least_stay = 0.1 -%}

-- All that is read here was known at the cutoff.
with data as (

    select min(first_order_on) as begins_on
    from {{ ref('customers') }}

),

known as (

    select
        features.customer_id,
        features.cutoff_date,
        {%- for number in range(1, months + 1) %}
        features.spend_cents_{{ number * month }}d,
        {%- endfor %}
        greatest(
            features.days_since_first_seen_{{ window_days }}d,
            coalesce({{ days_between('customers.first_order_on', 'features.cutoff_date') }}, {{ window_days }})
        ) as days_known,
        {{ days_between('data.begins_on', 'features.cutoff_date') }} as days_of_data
    from {{ ref('customer_features') }} as features
    cross join data
    left join {{ ref('customers') }} as customers
        on customers.customer_id = features.customer_id

),

weighted as (

    select
        customer_id,
        cutoff_date,
        days_known,
        days_of_data,
        spend_cents_{{ month }}d,
        {% for number in range(months) -%}
        {{ months - number }} * (spend_cents_{{ (number + 1) * month }}d{% if number %} - spend_cents_{{ number * month }}d{% endif %}){{ ' +' if not loop.last }}
        {% endfor -%}
        as weighted_cents,
        {% for number in range(months) -%}
        {{ months - number }} * greatest(least(days_known, {{ (number + 1) * month }}) - {{ number * month }}, 0){{ ' +' if not loop.last }}
        {% endfor -%}
        as weighted_days
    from known

),

means as (

    -- Sums of integers: the same digits on every run.
    select cutoff_date, {{ ratio('sum(weighted_cents)', 'sum(weighted_days)') }} as mean_cents_a_day
    from weighted
    group by cutoff_date

),

decayed as (

    select
        weighted.customer_id,
        weighted.cutoff_date,
        weighted.days_of_data,
        weighted.days_known,
        cast(round(
            {{ horizon }} * (weighted.weighted_cents + {{ pull }} * means.mean_cents_a_day) / (weighted.weighted_days + {{ pull }})
        ) as {{ type_bigint() }}) as decayed_mean_cents,
        cast(round({{ horizon }} * weighted.spend_cents_{{ month }}d / {{ month }}) as {{ type_bigint() }}) as last_month_cents
    from weighted
    inner join means on means.cutoff_date = weighted.cutoff_date

),

-- The model's amount counts zeros of those who stay away; what is wanted is of those who stay.
modelled as (

    select
        spend.customer_id,
        spend.cutoff_date,
        cast(round(spend.predicted / greatest(1 - lapse.score, {{ least_stay }})) as {{ type_bigint() }}) as cents
    from {{ source('spend', 'predictions') }} as spend
    inner join {{ source('predictions', 'lapse_predictions') }} as lapse
        on lapse.customer_id = spend.customer_id
        and lapse.cutoff_date = spend.cutoff_date

)

select
    decayed.customer_id,
    decayed.cutoff_date,
    case
        -- Who is seen for the first time may have come for years, where the data begin shortly before.
        when decayed.days_of_data < {{ 2 * window_days }} then null
        when decayed.days_known <= {{ window_days }} then 'new'
        else 'known'
    end as segment,
    coalesce(modelled.cents, decayed.decayed_mean_cents) as expected_spend_cents,
    case when modelled.customer_id is null then 'decayed mean' else 'model' end as expected_by,
    decayed.decayed_mean_cents,
    decayed.last_month_cents
from decayed
left join modelled
    on modelled.customer_id = decayed.customer_id
    and modelled.cutoff_date = decayed.cutoff_date
