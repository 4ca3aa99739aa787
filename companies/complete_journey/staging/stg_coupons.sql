with source as (

    select * from {{ source('raw', 'coupons') }}

),

renamed as (

    -- The source lists 4,872 of its coupon and product pairs twice.
    select distinct
        cast(coupon_upc as {{ dbt.type_string() }}) as coupon_id,
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id
    from source

)

select * from renamed
