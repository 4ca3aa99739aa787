{{ config(meta={
    'dagster': {'ref': {'name': 'candidates'}},
    'description': 'No candidate claims more purchases than there were before its cutoff, counted again from the order lines.',
}) }}
{#
  As-of audit: counts again, from the lines themselves, on how many days of [cutoff - window_days, cutoff) a customer bought
  a type, and returns candidates that claim more or later ones. One-sided, as a line that arrived after its cutoff was
  served is no leak. Customers whose identifier's hash ends in 0, one in sixteen: a leak is in the query and so in all.
#}

with candidates as (

    select customer_id, cutoff_date, product_type, days_bought, days_since
    from {{ ref('candidates') }}
    where days_bought > 0 and {{ dbt.hash('customer_id') }} like '%0'

),

recounted as (

    select
        candidates.customer_id,
        candidates.cutoff_date,
        candidates.product_type,
        count(distinct lines.ordered_on) as days_bought,
        max(lines.ordered_on) as last_on
    from candidates
    inner join {{ ref('order_lines') }} as lines
        on lines.customer_id = candidates.customer_id
        and lines.product_type = candidates.product_type
        and lines.ordered_on >= {{ add_days('candidates.cutoff_date', -var('window_days')) }}
        and lines.ordered_on < candidates.cutoff_date
    where not lines.is_return
    group by candidates.customer_id, candidates.cutoff_date, candidates.product_type

)

select
    candidates.customer_id,
    candidates.cutoff_date,
    candidates.product_type,
    candidates.days_bought,
    recounted.days_bought as days_before_cutoff
from candidates
left join recounted
    on recounted.customer_id = candidates.customer_id
    and recounted.cutoff_date = candidates.cutoff_date
    and recounted.product_type = candidates.product_type
where recounted.customer_id is null
    or candidates.days_bought > recounted.days_bought
    or candidates.days_since < {{ days_between('recounted.last_on', 'candidates.cutoff_date') }}
