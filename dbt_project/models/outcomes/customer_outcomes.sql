{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns'
) }}

with mature_cutoffs as (

    -- The day before matured_on has been delivered whole: nothing can still arrive for the label in the ordinary way.
    select cutoff_date, matured_on
    from {{ ref('cutoffs') }}
    where matured_on <= {{ add_days('watermark_date', 1) }}
        and {{ is_due_cutoff('cutoff_date', is_incremental()) }}

),

population as (

    select features.customer_id, features.cutoff_date, mature_cutoffs.matured_on
    from {{ ref('customer_features') }} as features
    inner join mature_cutoffs on mature_cutoffs.cutoff_date = features.cutoff_date
    where {{ in_share('features.customer_id') }}

),

days_after as (

    select
        population.customer_id,
        population.cutoff_date,
        count(*) as active_days,
        {{ big_sum('days.amount_cents') }} as amount_cents
    from population
    inner join {{ ref('customer_days') }} as days
        on days.customer_id = population.customer_id
        and days.ordered_on >= population.cutoff_date
        and days.ordered_on < population.matured_on
        {%- if has('returns') %}
        and days.orders > 0
        {%- endif %}
    group by population.customer_id, population.cutoff_date

)

select
    population.customer_id,
    population.cutoff_date,
    case when days_after.customer_id is null then 1 else 0 end as lapsed,
    coalesce(days_after.active_days, 0) as active_days_next_{{ var('horizon_days') }}d,
    coalesce(days_after.amount_cents, 0) as spend_cents_next_{{ var('horizon_days') }}d,
    population.matured_on
from population
left join days_after
    on days_after.customer_id = population.customer_id
    and days_after.cutoff_date = population.cutoff_date
