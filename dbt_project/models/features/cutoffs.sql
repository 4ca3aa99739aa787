with delivered as (

    -- The newest day that ingestion has delivered whole: a day with orders, and over before the newest row was read.
    select least(max(ordered_on), {{ add_days('max(extracted_on)', -1) }}) as watermark_date
    from {{ ref('stg_order_lines') }}

),

bounds as (

    select
        watermark_date,
        cast('{{ var("first_cutoff") }}' as date) as first_cutoff,
        {{ add_days('watermark_date', 1) }} as last_cutoff
    from delivered

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
