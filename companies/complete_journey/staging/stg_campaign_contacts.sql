with source as (

    select * from {{ source('raw', 'campaigns') }}

),

renamed as (

    select
        cast(household_id as {{ dbt.type_string() }}) as customer_id,
        cast(campaign_id as {{ dbt.type_string() }}) as campaign_id
    from source

)

select * from renamed
