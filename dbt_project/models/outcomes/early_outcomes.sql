{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns'
) }}

with early_cutoffs as (

    select
        cutoff_date,
        {{ add_days('cutoff_date', var('early_days')) }} as seen_through
    from {{ ref('cutoffs') }}
    where {{ add_days('cutoff_date', var('early_days')) }} <= {{ add_days('watermark_date', 1) }}
        and {{ is_due_cutoff('cutoff_date', is_incremental()) }}

)

select
    population.customer_id,
    population.cutoff_date,
    case when count(days.ordered_on) = 0 then 1 else 0 end as lapsed_{{ var('early_days') }}d,
    early_cutoffs.seen_through
from early_cutoffs
inner join {{ ref('customer_features') }} as population
    on population.cutoff_date = early_cutoffs.cutoff_date
left join {{ ref('customer_days') }} as days
    on days.customer_id = population.customer_id
    and days.ordered_on >= early_cutoffs.cutoff_date
    and days.ordered_on < early_cutoffs.seen_through
    {%- if has('returns') %}
    and days.orders > 0
    {%- endif %}
where {{ in_share('population.customer_id') }}
group by population.customer_id, population.cutoff_date, early_cutoffs.seen_through
