with source as (

    select * from {{ source('raw', 'products') }}

),

renamed as (

    select
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(manufacturer_id as {{ dbt.type_string() }}) as manufacturer_id,
        department,
        {{ department_group('department') }} as department_group,
        product_category as category,
        product_type,
        package_size,
        coalesce(brand = 'Private', false) as is_private_label
    from source

)

select * from renamed
