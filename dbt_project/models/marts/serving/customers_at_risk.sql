{%- set priced = var('contact_price') > 0 and var('won_back') > 0 -%}

with newest as (

    select max(cutoff_date) as cutoff_date
    from {{ source('predictions', 'lapse_predictions') }}

),

ranked as (

    select
        predictions.*,
        -- Equal scores keep one order from run to run.
        row_number() over (order by predictions.score desc, predictions.customer_id) as risk_rank,
        count(*) over () as customers
    from {{ source('predictions', 'lapse_predictions') }} as predictions
    inner join newest on newest.cutoff_date = predictions.cutoff_date

),

valued as (

    select
        ranked.*,
        worth.segment,
        worth.expected_spend_cents,
        ranked.score * worth.expected_spend_cents as expected_loss_cents
    from ranked
    left join {{ ref('customer_value') }} as worth
        on worth.customer_id = ranked.customer_id
        and worth.cutoff_date = ranked.cutoff_date

)
{%- if has('campaigns') %},

contacts as (

    select
        ranked.customer_id,
        contacts.campaign_id,
        contacts.campaign_type,
        contacts.sent_on,
        contacts.coupons_offered,
        contacts.coupons_redeemed,
        row_number() over (
            partition by ranked.customer_id order by contacts.sent_on desc, contacts.campaign_id desc
        ) as newest_first
    from ranked
    inner join {{ ref('campaign_contacts') }} as contacts
        on contacts.customer_id = ranked.customer_id
        -- A campaign that starts after the cutoff was not yet known when the score was made.
        and contacts.sent_on < ranked.cutoff_date

)
{%- endif %}

select
    -- Whom little is known of comes last.
    row_number() over (
        order by coalesce(valued.expected_loss_cents, -1) desc, valued.risk_rank
    ) as loss_rank,
    valued.risk_rank,
    valued.customer_id,
    valued.cutoff_date,
    valued.score,
    valued.expected_spend_cents / 100 as expected_spend,
    round(valued.expected_loss_cents) / 100 as expected_loss,
    {% if priced -%}
    {{ var('won_back') }} * valued.expected_loss_cents > {{ 100 * var('contact_price') }} as worth_calling,
    'A contact costs {{ var("currency") }} {{ "%g" | format(var("contact_price")) }} and keeps {{ "%g" | format(100 * var("won_back")) }} % of those who would lapse.' as worth_calling_by,
    {% else -%}
    cast(null as {{ dbt.type_boolean() }}) as worth_calling,
    'Not said: company.toml has no contact and won_back under [prices].' as worth_calling_by,
    {% endif -%}
    valued.segment,
    case
        when valued.risk_rank - 1 < 0.1 * valued.customers then 'high'
        when valued.risk_rank - 1 < 0.3 * valued.customers then 'medium'
        else 'low'
    end as risk_band,
    valued.reason_1,
    valued.reason_2,
    valued.reason_3,
    customers.last_order_on,
    features.recency_days,
    features.spend_cents_{{ var('window_days') }}d,
    {% if has('campaigns') -%}
    contacts.campaign_id as last_campaign_id,
    contacts.campaign_type as last_campaign_type,
    contacts.sent_on as last_contacted_on,
    contacts.coupons_offered,
    contacts.coupons_redeemed,
    {% endif -%}
    {% for attribute in var('attributes')[:3] -%}
    customers.{{ attribute }},
    {% endfor -%}
    valued.model_name,
    valued.model_version,
    valued.trained_through,
    valued.scored_at
from valued
left join {{ ref('customers') }} as customers
    on customers.customer_id = valued.customer_id
left join {{ ref('customer_features') }} as features
    on features.customer_id = valued.customer_id
    and features.cutoff_date = valued.cutoff_date
{%- if has('campaigns') %}
left join contacts
    on contacts.customer_id = valued.customer_id
    and contacts.newest_first = 1
{%- endif %}
