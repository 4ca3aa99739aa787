{{ config(pre_hook="{{ create_ingestions() }}") }}

with days as (

    select ordered_on, max(extracted_on) as extracted_on
    from {{ ref('stg_order_lines') }}
    where ordered_on is not null
    group by 1

),

-- The day that ingestion was in when the order lines were last read; without a record of it, null.
ingested as (

    select max({{ local_date_of_instant('ingested_at') }}) as ingested_on
    from {{ ingestions() }}
    where stream = '{{ var("order_lines_table") }}'

),

reach as (

    select
        (select min(ordered_on) from days) as first_day,
        (select max(ordered_on) from days) as newest_day,
        (select max(extracted_on) from days) as extracted_on,
        ingested_on,
        {{ add_days('ingested_on', -1) }} as passed_day
    from ingested

),

calendar as (

    {{ dates_from_to('first_day', 'passed_day', 1, 'reach', 'calendar_day') }}

),

-- Each stretch is a day with orders and the days without any after it.
stretches as (

    select
        calendar.calendar_day,
        count(days.ordered_on) over (order by calendar.calendar_day) as stretch,
        case when days.ordered_on is null then 1 else 0 end as is_empty
    from calendar
    left join days on days.ordered_on = calendar.calendar_day

),

gaps as (

    select stretch, sum(is_empty) as gap_days
    from stretches
    group by 1

),

-- The longest gap that happened twice: Sundays, a weekly closure. What happened once may have been an outage.
usual_gap as (

    select coalesce(min(gap_days), 0) as gap_days
    from (
        select gap_days, row_number() over (order by gap_days desc) as place
        from gaps
        where stretch < (select max(stretch) from gaps)
    ) as longest
    where place = 2

),

-- Ingestion has passed a day, and it is over: one with orders, or one that is empty no longer than is natural. A feed
-- that stopped holds the days after that back.
passed as (

    select max(calendar_day) as watermark_date
    from (
        select
            calendar_day,
            stretch,
            sum(is_empty) over (partition by stretch order by calendar_day) as empty_so_far
        from stretches
    ) as counted
    where empty_so_far <= (select gap_days from usual_gap) or stretch < (select max(stretch) from stretches)

),

delivered as (

    -- Before the first record of an ingestion: a day with orders, and over before the newest row was read.
    select coalesce(passed.watermark_date, least(reach.newest_day, {{ add_days('reach.extracted_on', -1) }}))
        as watermark_date
    from reach
    cross join passed

),

bounds as (

    select
        watermark_date,
        {%- if var('first_cutoff') %}
        cast('{{ var("first_cutoff") }}' as date) as first_cutoff,
        {%- else %}
        -- The first Monday that has the whole look-back before it.
        {{ next_monday(add_days('first_day', var('window_days'))) }} as first_cutoff,
        {%- endif %}
        {{ add_days('watermark_date', 1) }} as last_cutoff
    from delivered
    {%- if not var('first_cutoff') %}
    cross join (select first_day from reach) as known
    {%- endif %}

),

spine as (

    {{ dates_from_to('first_cutoff', 'last_cutoff', var('cadence_days'), 'bounds', 'cutoff_date') }}

)

select
    spine.cutoff_date,
    {{ add_days('spine.cutoff_date', var('horizon_days')) }} as matured_on,
    delivered.watermark_date
from spine
cross join delivered
