{{ config(meta={
    'dagster': {'ref': {'name': 'customer_outcomes'}},
    'description': 'A cutoff has outcomes as soon as its horizon is over and delivered, and not before.',
}) }}
{#
  Label maturity: returns outcomes of a cutoff whose horizon is not over and delivered (closing a label early calls
  people lapsed who are not), and mature cutoffs that have features but no outcomes (silence is not an outcome).
#}

select
    outcomes.cutoff_date,
    'not mature' as problem
from {{ ref('customer_outcomes') }} as outcomes
left join {{ ref('cutoffs') }} as cutoffs
    on cutoffs.cutoff_date = outcomes.cutoff_date
where cutoffs.cutoff_date is null
    or outcomes.matured_on <> {{ add_days('outcomes.cutoff_date', var('horizon_days')) }}
    or outcomes.matured_on > {{ add_days('cutoffs.watermark_date', 1) }}

union all

select
    features.cutoff_date,
    'mature, without an outcome' as problem
from {{ ref('customer_features') }} as features
inner join {{ ref('cutoffs') }} as cutoffs
    on cutoffs.cutoff_date = features.cutoff_date
    and cutoffs.matured_on <= {{ add_days('cutoffs.watermark_date', 1) }}
left join {{ ref('customer_outcomes') }} as outcomes
    on outcomes.customer_id = features.customer_id
    and outcomes.cutoff_date = features.cutoff_date
where outcomes.customer_id is null
