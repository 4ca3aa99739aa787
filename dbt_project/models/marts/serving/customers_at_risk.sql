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
    ranked.risk_rank,
    ranked.customer_id,
    ranked.cutoff_date,
    ranked.score,
    case
        when ranked.risk_rank - 1 < 0.1 * ranked.customers then 'high'
        when ranked.risk_rank - 1 < 0.3 * ranked.customers then 'medium'
        else 'low'
    end as risk_band,
    ranked.reason_1,
    ranked.reason_2,
    ranked.reason_3,
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
    ranked.model_name,
    ranked.model_version,
    ranked.trained_through,
    ranked.scored_at
from ranked
left join {{ ref('customers') }} as customers
    on customers.customer_id = ranked.customer_id
left join {{ ref('customer_features') }} as features
    on features.customer_id = ranked.customer_id
    and features.cutoff_date = ranked.cutoff_date
{%- if has('campaigns') %}
left join contacts
    on contacts.customer_id = ranked.customer_id
    and contacts.newest_first = 1
{%- endif %}
