with live as (

    select
        'live' as evidence,
        predictions.model_version,
        predictions.customer_id,
        predictions.cutoff_date,
        predictions.score,
        outcomes.lapsed,
        cast(features.recency_days as {{ type_double() }}) as recency_rule_score
    from {{ source('predictions', 'lapse_predictions') }} as predictions
    inner join {{ ref('customer_outcomes') }} as outcomes
        on outcomes.customer_id = predictions.customer_id
        and outcomes.cutoff_date = predictions.cutoff_date
    left join {{ ref('customer_features') }} as features
        on features.customer_id = predictions.customer_id
        and features.cutoff_date = predictions.cutoff_date
    -- A score for a cutoff whose label overlaps what its model has learned from is no evidence.
    where predictions.cutoff_date >= {{ add_days('predictions.trained_through', var('horizon_days')) }}

),

holdout as (

    select
        'holdout' as evidence,
        model_version,
        customer_id,
        cutoff_date,
        score,
        lapsed,
        recency_rule_score
    from {{ source('training', 'holdout_predictions') }}

),

judged as (

    select both_kinds.*, worth.last_month_cents, both_kinds.score * worth.expected_spend_cents as expected_loss
    from (
        select * from live
        union all
        select * from holdout
    ) as both_kinds
    left join {{ ref('customer_value') }} as worth
        on worth.customer_id = both_kinds.customer_id
        and worth.cutoff_date = both_kinds.cutoff_date

),

{% set group_keys = 'evidence, model_version, cutoff_date' -%}

places as (

    -- BigQuery groups no window by a double, so equal scores are found by their ranks from both ends.
    select
        *,
        count(*) over (partition by {{ group_keys }}) as customers,
        rank() over (partition by {{ group_keys }} order by score) as rank_from_below,
        rank() over (partition by {{ group_keys }} order by score desc) as rank_from_above,
        rank() over (partition by {{ group_keys }} order by expected_loss) as loss_from_below,
        rank() over (partition by {{ group_keys }} order by expected_loss desc) as loss_from_above,
        rank() over (partition by {{ group_keys }} order by recency_rule_score) as recency_from_below,
        rank() over (partition by {{ group_keys }} order by recency_rule_score desc) as recency_from_above
    from judged

),

ranked as (

    select
        *,
        -- The average rank of equal scores, as the Mann-Whitney statistic wants it.
        (rank_from_below + customers - rank_from_above + 1) / 2 as score_rank,
        (recency_from_below + customers - recency_from_above + 1) / 2 as recency_rank,
        rank_from_above - 1 as customers_above,
        customers - rank_from_above - rank_from_below + 2 as customers_tied,
        loss_from_above - 1 as losses_above,
        customers - loss_from_above - loss_from_below + 2 as losses_tied,
        -- The tenth at the top, rounded up; the small number keeps 0.1 x 10 from becoming two.
        ceil(0.1 * customers - 1e-9) as top_size,
        -- A score of exactly 0 or 1 that is wrong would make the log-loss infinite.
        greatest(least(score, 1 - 1e-15), 1e-15) as clipped_score
    from places

),

in_the_tenth as (

    -- Equal scores at the edge of the top share the places that are left, whatever the order of the rows.
    select
        *,
        greatest(0, least(1, (top_size - customers_above) / customers_tied)) as called_by_risk,
        greatest(0, least(1, (top_size - losses_above) / losses_tied)) as called_by_loss,
        -- What was lost nobody sees. Last month's spend is a fact; the estimate would praise the order that it made.
        lapsed * last_month_cents as lost_cents
    from ranked

),

counted as (

    select
        evidence,
        model_version,
        cutoff_date,
        count(*) as customers,
        {{ big_sum('lapsed') }} as lapsed,
        avg(score) as mean_score,
        avg((score - lapsed) * (score - lapsed)) as brier,
        -avg(case when lapsed = 1 then ln(clipped_score) else ln(1 - clipped_score) end) as log_loss,
        sum(case when lapsed = 1 then score_rank else 0 end) as lapsed_ranks,
        sum(case when lapsed = 1 then recency_rank else 0 end) as lapsed_recency_ranks,
        count(recency_rule_score) as customers_with_recency,
        sum(lapsed * called_by_risk) / max(top_size) as top_rate,
        count(last_month_cents) as customers_with_value,
        {{ big_sum('lost_cents') }} as lost_cents,
        sum(lost_cents * called_by_risk) as lost_cents_called_by_risk,
        sum(lost_cents * called_by_loss) as lost_cents_called_by_loss,
        -- What the noise of both shares is made of, see below.
        sum(cast(lost_cents as {{ type_double() }}) * lost_cents) as squares,
        {% for way in ['risk', 'loss'] -%}
        sum(cast(lost_cents as {{ type_double() }}) * lost_cents * called_by_{{ way }}) as squares_by_{{ way }},
        sum(cast(lost_cents as {{ type_double() }}) * lost_cents * called_by_{{ way }} * called_by_{{ way }}) as squares_twice_by_{{ way }}{{ ',' if not loop.last }}
        {% endfor -%}
    from in_the_tenth
    group by evidence, model_version, cutoff_date

),

shares as (

    select
        *,
        {% for way in ['risk', 'loss'] -%}
        {{ ratio('lost_cents_called_by_' ~ way, 'lost_cents') }} as covered_by_{{ way }}{{ ',' if not loop.last }}
        {% endfor -%}
    from counted

),

-- A ratio of two sums over customers: its standard error by the residuals of each customer's part (Cochran, Sampling
-- Techniques, 6.4). Of a single lapse nothing can be said.
with_noise as (

    select
        *,
        {% for way in ['risk', 'loss'] -%}
        case
            when lapsed > 1 and lost_cents > 0
                then 1.96 * sqrt(
                    greatest(
                        squares_twice_by_{{ way }} - 2 * covered_by_{{ way }} * squares_by_{{ way }}
                        + covered_by_{{ way }} * covered_by_{{ way }} * squares,
                        0
                    )
                    * lapsed / (lapsed - 1)
                ) / lost_cents
        end as noise_by_{{ way }}{{ ',' if not loop.last }}
        {% endfor -%}
    from shares

)

select
    evidence,
    model_version,
    cutoff_date,
    customers,
    lapsed,
    lapsed / customers as base_rate,
    mean_score,
    brier,
    log_loss,
    {{ ratio('lapsed_ranks - lapsed * (lapsed + 1) / 2', 'lapsed * (customers - lapsed)') }} as auc,
    {{ ratio('top_rate', 'lapsed / customers') }} as lift_at_10pct,
    case
        when customers_with_recency = customers
            then {{ ratio('lapsed_recency_ranks - lapsed * (lapsed + 1) / 2', 'lapsed * (customers - lapsed)') }}
    end as recency_rule_auc,
    {%- set all_valued = 'case when customers_with_value = customers then ' %}
    {{ all_valued }}lost_cents / 100 end as spend_lost,
    {% for way in ['risk', 'loss'] -%}
    {#- DuckDB passes over a null in greatest, BigQuery does not. -#}
    {%- set noisy = 'case when customers_with_value = customers and noise_by_' ~ way ~ ' is not null then ' %}
    {{ all_valued }}covered_by_{{ way }} end as spend_covered_by_{{ way }},
    {{ noisy }}round(greatest(0, covered_by_{{ way }} - noise_by_{{ way }}), 4) end as spend_covered_by_{{ way }}_low,
    {{ noisy }}round(least(1, covered_by_{{ way }} + noise_by_{{ way }}), 4) end as spend_covered_by_{{ way }}_high{{ ',' if not loop.last }}
    {%- endfor %}
from with_noise
