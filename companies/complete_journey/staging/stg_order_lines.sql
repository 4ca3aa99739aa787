{{ config(
    materialized='incremental',
    incremental_strategy=replace_strategy(),
    unique_key='ordered_on',
    partition_by=replace_partition('ordered_on'),
    cluster_by=cluster(['customer_id']),
    on_schema_change='sync_all_columns',
    meta={'nothing_left': 'ordered_at is null'}
) }}

with source as (

    select * from {{ source('raw', 'transactions') }}

),

{% if is_incremental() %}
-- A day is built again when a line arrived for it or went away, however late: no look-back that a later line could miss.
{{ changed_days('source', 'cast(' ~ local_timestamp('transaction_timestamp') ~ ' as date)', '_airbyte_extracted_at') }},
{% endif %}

renamed as (

    select
        cast(household_id as {{ dbt.type_string() }}) as customer_id,
        cast(basket_id as {{ dbt.type_string() }}) as order_id,
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(store_id as {{ dbt.type_string() }}) as store_id,
        {{ local_timestamp('transaction_timestamp') }} as ordered_at,
        cast({{ local_timestamp('transaction_timestamp') }} as date) as ordered_on,
        quantity,
        {{ cents('sales_value') }} as amount_cents,
        {{ cents('retail_disc') }} as discount_cents,
        {{ cents('coupon_disc + coupon_match_disc') }} as coupon_cents,
        false as is_return,
        _airbyte_extracted_at as extracted_at,
        {{ local_date_of_instant('_airbyte_extracted_at') }} as extracted_on
    from source

)

{{ lines_of_changed_days('renamed', is_incremental()) }}
