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
arrived as (

    select
        cast({{ local_timestamp('transaction_timestamp') }} as date) as ordered_on,
        count(*) as lines,
        max(_airbyte_extracted_at) as extracted_at
    from source
    group by 1

),

known as (

    select ordered_on, count(*) as lines, max(extracted_at) as extracted_at
    from {{ this }}
    group by 1

),

changed_days as (

    select coalesce(arrived.ordered_on, known.ordered_on) as ordered_on
    from arrived
    full outer join known on known.ordered_on = arrived.ordered_on
    where known.ordered_on is null
        or known.lines <> arrived.lines
        or known.extracted_at <> arrived.extracted_at
        -- All of its lines went away. Where no day is left at all, the source was not loaded, and what is known stays.
        or (arrived.ordered_on is null and (select count(ordered_on) from arrived) > 0)

),
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

{% if is_incremental() -%}
-- A day of which nothing is left is one row without a line (`nothing_left`): it replaces the day, and is not stored.
select * from changed_days
left join (
    select * from renamed
    where ordered_on in (select ordered_on from changed_days)
) as lines using (ordered_on)
{%- else -%}
select * from renamed
{%- endif %}
