"""What is known of a customer and a product type at a cutoff: names, units and meaning; read without heavy packages.

A row of `next_product.candidates` is a pair. Its facts are computed in dbt (`dbt_project/models/next_product`), for the
company's look-back.
"""

OWN_TYPES = 40
"""So many of a customer's habits are candidates, the strongest first."""

POPULAR_TYPES = 40
"""So many of the types that most customers buy are candidates for everybody."""

LISTED = 10
"""How long a list is: what is served, and what every measure looks at."""

SEEN = ("renamed", "vanished", "appeared", "campaign")
"""What can be seen of product types that are not as usual: the verdicts of `assortment`."""

KEYS = ("customer_id", "cutoff_date", "product_type")

LABEL = "bought"

FEATURES: dict[str, str] = {
    "days_bought": "days on which the customer bought the type",
    "days_bought_lately": "such days of late",
    "faded_days": "such days, older ones worth less, in thousandths",
    "days_since": "days since the type was bought last",
    "gap_days": "mean days between two purchases of it",
    "share_of_days": "share of the customer's shopping days with it",
    "popularity": "its buyers, as a share of those of the most bought type",
    "popularity_lately": "the same of late",
    "customer_days": "the customer's shopping days",
    "customer_recency_days": "days since the customer's last order",
    "customer_types": "how many types the customer bought",
    "days_bought_before": "days on which the customer bought the type before the look-back",
}
"""The facts that a model reads, with what people call them."""
