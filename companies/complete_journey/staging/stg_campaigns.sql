with source as (

    select * from {{ source('raw', 'campaign_descriptions') }}

),

renamed as (

    select
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id,
        campaign_type,
        -- Written as midnight of a calendar day; no clock and so no time zone is meant.
        cast(start_date as date) as sent_on,
        cast(end_date as date) as ends_on
    from source

)

select * from renamed
