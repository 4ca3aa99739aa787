with offers as (

    select campaign_id, count(distinct coupon_id) as coupons_offered
    from {{ ref('stg_coupons') }}
    group by campaign_id

),

redemptions as (

    select
        customer_id,
        campaign_id,
        count(*) as coupons_redeemed,
        max(redeemed_on) as last_redeemed_on
    from {{ ref('stg_coupon_redemptions') }}
    group by customer_id, campaign_id

)

select
    contacts.customer_id,
    contacts.campaign_id,
    campaigns.campaign_type,
    campaigns.sent_on,
    campaigns.ends_on,
    coalesce(offers.coupons_offered, 0) as coupons_offered,
    coalesce(redemptions.coupons_redeemed, 0) as coupons_redeemed,
    redemptions.last_redeemed_on
from {{ ref('stg_campaign_contacts') }} as contacts
inner join {{ ref('stg_campaigns') }} as campaigns
    on campaigns.campaign_id = contacts.campaign_id
left join offers
    on offers.campaign_id = contacts.campaign_id
left join redemptions
    on redemptions.customer_id = contacts.customer_id
    and redemptions.campaign_id = contacts.campaign_id
