{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    on_schema_change='sync_all_columns'
) }}

with cutoffs as (

    select cutoff_date, {{ add_days('cutoff_date', -var('window_days')) }} as window_starts_on
    from {{ ref('cutoffs') }}
    where {{ is_due_cutoff('cutoff_date', is_incremental()) }}

),

reach as (

    select min(window_starts_on) as first_day, max(cutoff_date) as end_day
    from cutoffs

),

bought as (

    {{ types_bought() }}

),

-- A buyer is counted on the one day that is the last before the cutoff: no distinct count of each window.
spans as (

    select
        product_type,
        ordered_on,
        lead(ordered_on) over (partition by customer_id, product_type order by ordered_on) as next_on
    from bought

),

counted as (

    select
        cutoffs.cutoff_date,
        spans.product_type,
        count(*) as buyers,
        {{ big_count(in_last(var('population_days'))) }} as buyers_lately
    from cutoffs
    inner join spans
        on spans.ordered_on >= cutoffs.window_starts_on
        and spans.ordered_on < cutoffs.cutoff_date
    where spans.next_on is null or spans.next_on >= cutoffs.cutoff_date
    group by cutoffs.cutoff_date, spans.product_type

)

select
    cutoff_date,
    product_type,
    cast(buyers as {{ type_bigint() }}) as buyers,
    buyers_lately,
    cast(row_number() over (
        partition by cutoff_date
        order by buyers_lately desc, buyers desc, product_type
    ) as {{ type_bigint() }}) as popular_rank
from counted
