with source as (

    select * from {{ source('raw', 'demographics') }}

),

renamed as (

    select
        cast(household_id as {{ dbt.type_string() }}) as customer_id,
        age as age_band,
        income as income_band,
        home_ownership,
        marital_status,
        household_size,
        household_comp as household_composition,
        kids_count
    from source

)

select * from renamed
