with source as (

    select * from {{ source('raw', 'coupon_redemptions') }}

),

renamed as (

    select
        cast(household_id as {{ dbt.type_string() }}) as customer_id,
        cast(coupon_upc as {{ dbt.type_string() }}) as coupon_id,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id,
        -- Written as midnight of a calendar day; no clock and so no time zone is meant.
        cast(redemption_date as date) as redeemed_on
    from source

)

select * from renamed
