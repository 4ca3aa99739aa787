with source as (

    select * from {{ source('raw', 'products') }}

),

renamed as (

    select
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(manufacturer_id as {{ dbt.type_string() }}) as manufacturer_id,
        department,
        case
            when department = 'PRODUCE' then 'produce'
            when department in ('MEAT', 'MEAT-PCKGD', 'SEAFOOD', 'SEAFOOD-PCKGD') then 'meat'
            when department = 'DRUG GM' then 'drug'
            when department = 'FUEL' then 'fuel'
            else 'other'
        end as department_group,
        product_category as category,
        product_type,
        package_size,
        coalesce(brand = 'Private', false) as is_private_label
    from source

)

select * from renamed
