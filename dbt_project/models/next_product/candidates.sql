{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='cutoff_date',
    partition_by=replace_partition('cutoff_date'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns'
) }}

-- Of how many shares the table is made is asked of this one. depends_on: {{ ref('customer_days') }}

{#
  What a customer may buy next: the types that the customer bought in the look-back, the strongest habits first, and the
  types that most customers buy. Never customers times all types: a statement holds what the customers of a share bought.
#}

with cutoffs as (

    select
        cutoff_date,
        {{ add_days('cutoff_date', -var('window_days')) }} as window_starts_on,
        {{ add_days('cutoff_date', -4 * var('window_days')) }} as past_starts_on,
        max(cutoff_date) over () as newest_cutoff
    from {{ ref('cutoffs') }}

),

due as (

    select cutoff_date, window_starts_on, past_starts_on, cutoff_date = newest_cutoff as is_newest
    from cutoffs
    where (cutoff_date = newest_cutoff or {{ is_learned_cutoff('cutoff_date') }})
        and {{ is_due_cutoff('cutoff_date', is_incremental()) }}

),

reach as (

    select min(past_starts_on) as first_day, max(cutoff_date) as end_day
    from due

),

-- Everybody is scored at the newest cutoff; of earlier ones, which are only learned from, a share of the customers is enough.
population as (

    select
        features.customer_id,
        features.cutoff_date,
        due.window_starts_on,
        due.past_starts_on,
        features.active_days_{{ var('window_days') }}d as customer_days,
        features.recency_days as customer_recency_days
    from {{ ref('customer_features') }} as features
    inner join due on due.cutoff_date = features.cutoff_date
    where (due.is_newest or {{ in_learned_share('features.customer_id') }})
        and {{ in_share('features.customer_id') }}

),

bought as (

    {{ types_bought() }}
        and {{ in_share('lines.customer_id') }}

),

habits as (

    select
        population.customer_id,
        population.cutoff_date,
        bought.product_type,
        count(*) as days_bought,
        {{ big_count(in_last(var('population_days'))) }} as days_bought_lately,
        -- Whole thousandths: sums of fractions differ from run to run.
        {{ big_sum('cast(round(1000 * power(0.5, ' ~ days_between('bought.ordered_on', 'population.cutoff_date') ~ ' / ' ~ (var('window_days') / 3) ~ ')) as ' ~ type_bigint() ~ ')') }} as faded_days,
        min(bought.ordered_on) as first_on,
        max(bought.ordered_on) as last_on
    from population
    inner join bought
        on bought.customer_id = population.customer_id
        and bought.ordered_on >= population.window_starts_on
        and bought.ordered_on < population.cutoff_date
    group by population.customer_id, population.cutoff_date, bought.product_type

),

-- What a customer bought a year ago comes back more often than what was never bought.
former as (

    select
        population.customer_id,
        population.cutoff_date,
        bought.product_type,
        count(*) as days_bought_before
    from population
    inner join bought
        on bought.customer_id = population.customer_id
        and bought.ordered_on >= population.past_starts_on
        and bought.ordered_on < population.window_starts_on
    group by population.customer_id, population.cutoff_date, bought.product_type

),

ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, cutoff_date
            order by days_bought desc, faded_days desc, product_type
        ) as habit_rank,
        count(*) over (partition by customer_id, cutoff_date) as customer_types
    from habits

),

breadth as (

    select customer_id, cutoff_date, customer_types
    from ranked
    where habit_rank = 1

),

popular as (

    select
        cutoff_date,
        product_type,
        buyers,
        buyers_lately,
        popular_rank,
        max(buyers) over (partition by cutoff_date) as most_buyers,
        max(buyers_lately) over (partition by cutoff_date) as most_buyers_lately
    from {{ ref('popular_types') }}

),

-- Of the popular types those that are no habit of the customer.
newcomers as (

    select
        population.customer_id,
        population.cutoff_date,
        popular.product_type
    from population
    inner join popular
        on popular.cutoff_date = population.cutoff_date
        and popular.popular_rank <= {{ var('popular_types') }}
    left join habits
        on habits.customer_id = population.customer_id
        and habits.cutoff_date = population.cutoff_date
        and habits.product_type = popular.product_type
    where habits.customer_id is null

),

pairs as (

    select
        ranked.customer_id,
        ranked.cutoff_date,
        ranked.product_type,
        ranked.days_bought,
        ranked.days_bought_lately,
        ranked.faded_days,
        ranked.first_on,
        ranked.last_on
    from ranked
    inner join popular
        on popular.cutoff_date = ranked.cutoff_date
        and popular.product_type = ranked.product_type
    where ranked.habit_rank <= {{ var('own_types') }} or popular.popular_rank <= {{ var('popular_types') }}

    union all

    select
        customer_id,
        cutoff_date,
        product_type,
        0 as days_bought,
        0 as days_bought_lately,
        0 as faded_days,
        cast(null as date) as first_on,
        cast(null as date) as last_on
    from newcomers

)

select
    pairs.customer_id,
    pairs.cutoff_date,
    pairs.product_type,
    cast(pairs.days_bought as {{ type_bigint() }}) as days_bought,
    cast(pairs.days_bought_lately as {{ type_bigint() }}) as days_bought_lately,
    cast(pairs.faded_days as {{ type_bigint() }}) as faded_days,
    cast({{ days_between('pairs.last_on', 'pairs.cutoff_date') }} as {{ type_double() }}) as days_since,
    {{ ratio(days_between('pairs.first_on', 'pairs.last_on'), 'pairs.days_bought - 1') }} as gap_days,
    pairs.days_bought / population.customer_days as share_of_days,
    popular.buyers / popular.most_buyers as popularity,
    {{ ratio('popular.buyers_lately', 'popular.most_buyers_lately') }} as popularity_lately,
    cast(population.customer_days as {{ type_bigint() }}) as customer_days,
    cast(population.customer_recency_days as {{ type_bigint() }}) as customer_recency_days,
    cast(coalesce(breadth.customer_types, 0) as {{ type_bigint() }}) as customer_types,
    cast(coalesce(former.days_bought_before, 0) as {{ type_bigint() }}) as days_bought_before
from pairs
inner join population
    on population.customer_id = pairs.customer_id
    and population.cutoff_date = pairs.cutoff_date
inner join popular
    on popular.cutoff_date = pairs.cutoff_date
    and popular.product_type = pairs.product_type
left join former
    on former.customer_id = pairs.customer_id
    and former.cutoff_date = pairs.cutoff_date
    and former.product_type = pairs.product_type
left join breadth
    on breadth.customer_id = pairs.customer_id
    and breadth.cutoff_date = pairs.cutoff_date
