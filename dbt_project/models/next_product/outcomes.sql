{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns'
) }}

-- Of how many shares the table is made is asked of this one. depends_on: {{ ref('customer_days') }}

with mature_cutoffs as (

    -- The day before matured_on has been delivered whole: nothing can still arrive for the label in the ordinary way.
    select cutoff_date, matured_on, {{ add_days('cutoff_date', -var('window_days')) }} as window_starts_on
    from {{ ref('cutoffs') }}
    where matured_on <= {{ add_days('watermark_date', 1) }}
        and {{ is_due_cutoff('cutoff_date', is_incremental()) }}

),

reach as (

    select min(window_starts_on) as first_day, max(matured_on) as end_day
    from mature_cutoffs

),

bought as (

    {{ types_bought() }}
        and {{ in_share('lines.customer_id') }}

),

-- The first purchase from the cutoff on is the one whose previous one lies before it: one row a type without a distinct.
steps as (

    select
        customer_id,
        product_type,
        ordered_on,
        lag(ordered_on) over (partition by customer_id, product_type order by ordered_on) as previous_on
    from bought

)

select
    population.customer_id,
    population.cutoff_date,
    steps.product_type,
    case when steps.previous_on >= mature_cutoffs.window_starts_on then 1 else 0 end as is_repeat,
    mature_cutoffs.matured_on
from mature_cutoffs
inner join {{ ref('customer_features') }} as population
    on population.cutoff_date = mature_cutoffs.cutoff_date
inner join steps
    on steps.customer_id = population.customer_id
    and steps.ordered_on >= mature_cutoffs.cutoff_date
    and steps.ordered_on < mature_cutoffs.matured_on
where (steps.previous_on is null or steps.previous_on < mature_cutoffs.cutoff_date)
    and {{ in_share('population.customer_id') }}
