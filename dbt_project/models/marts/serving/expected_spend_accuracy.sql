{#- Of fewer customers an interval says little of the one that it would have with others. -#}
{%- set few = 100 -%}

-- What was expected of those who stayed, beside what they spent: a lapse is the score's business.
with judged as (

    select
        worth.customer_id,
        ntile(10) over (order by worth.expected_spend_cents, worth.customer_id, worth.cutoff_date) as decile,
        worth.expected_spend_cents as expected,
        worth.last_month_cents as last_month,
        outcomes.spend_cents_next_{{ var('horizon_days') }}d as observed
    from {{ ref('customer_value') }} as worth
    inner join {{ ref('customer_outcomes') }} as outcomes
        on outcomes.customer_id = worth.customer_id
        and outcomes.cutoff_date = worth.cutoff_date
    where outcomes.lapsed = 0

),

all_and_deciles as (

    select customer_id, decile, expected, last_month, observed from judged
    union all
    select customer_id, 0 as decile, expected, last_month, observed from judged

),

-- The rows of one customer overlap, so that the customer is what an interval counts.
by_customer as (

    select
        decile,
        customer_id,
        count(*) as predictions,
        {{ big_sum('expected') }} as expected,
        {{ big_sum('last_month') }} as last_month,
        {{ big_sum('observed') }} as observed,
        {{ big_sum('abs(observed - expected)') }} as missed,
        {{ big_sum('abs(observed - last_month)') }} as last_month_missed
    from all_and_deciles
    group by decile, customer_id

),

totals as (

    select
        decile,
        count(*) as customers,
        {{ big_sum('predictions') }} as predictions,
        {{ big_sum('expected') }} as expected,
        {{ big_sum('last_month') }} as last_month,
        {{ big_sum('observed') }} as observed,
        {{ big_sum('missed') }} as missed,
        {{ big_sum('last_month_missed') }} as last_month_missed
    from by_customer
    group by decile

),

means as (

    select
        *,
        (observed - expected) / predictions as difference,
        (last_month_missed - missed) / predictions as gain
    from totals

),

squares as (

    select
        means.decile,
        sum(
            (by_customer.observed - by_customer.expected - by_customer.predictions * means.difference)
            * (by_customer.observed - by_customer.expected - by_customer.predictions * means.difference)
        ) as of_difference,
        sum(
            (by_customer.last_month_missed - by_customer.missed - by_customer.predictions * means.gain)
            * (by_customer.last_month_missed - by_customer.missed - by_customer.predictions * means.gain)
        ) as of_gain
    from by_customer
    inner join means on means.decile = by_customer.decile
    group by means.decile

),

intervals as (

    select
        means.*,
        1.96 * sqrt({{ ratio('squares.of_difference * means.customers', 'means.customers - 1') }}) / means.predictions as difference_noise,
        1.96 * sqrt({{ ratio('squares.of_gain * means.customers', 'means.customers - 1') }}) / means.predictions as gain_noise
    from means
    inner join squares on squares.decile = means.decile

)

select
    decile,
    customers,
    predictions,
    {% for name in ['expected', 'observed', 'last_month'] -%}
    round({{ name }} / predictions) / 100 as mean_{{ name }},
    {% endfor -%}
    round(difference) / 100 as difference,
    round(difference - difference_noise) / 100 as difference_low,
    round(difference + difference_noise) / 100 as difference_high,
    case
        when customers < {{ few }} then 'too few to say'
        when difference - difference_noise > 0 then 'spend more than expected'
        when difference + difference_noise < 0 then 'spend less than expected'
        else 'as expected'
    end as calibration,
    round(missed / predictions) / 100 as mean_error,
    round(last_month_missed / predictions) / 100 as mean_error_of_last_month,
    round(gain) / 100 as gain,
    round(gain - gain_noise) / 100 as gain_low,
    round(gain + gain_noise) / 100 as gain_high,
    case
        when customers < {{ few }} then 'too few to say'
        when gain - gain_noise > 0 then 'better than last month'
        when gain + gain_noise < 0 then 'worse than last month'
        else 'no difference to tell'
    end as against_last_month
from intervals
