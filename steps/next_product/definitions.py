"""The holdout's lists under several definitions of recall and nDCG, to stand beside published figures."""

from typing import TYPE_CHECKING, NamedTuple

from resources.company import company
from resources.warehouse.contract import Warehouse
from steps.errors import StepRefusedError
from steps.next_product.keys import NAME
from steps.next_product.training import SEED

if TYPE_CHECKING:
    import pandas as pd


class Measured(NamedTuple):
    """What the holdout's lists are worth.

    `methods`: a row a method (`lists`) with each definition's mean and its 95 % interval over customers (`_low`,
    `_high`). The last row is the best that could be had of these candidates. `named`: which share of what was bought is
    a candidate at all. `judged`: lists of customers who bought something.
    """

    methods: "pd.DataFrame"
    named: dict[str, float]
    judged: int


def lists_otherwise(warehouse: Warehouse) -> Measured:
    """Judge the holdout's lists of the newest champion and of the rules beside it by each definition.

    Raises:
        StepRefusedError: the company has no product types, or nothing was judged on the present training set yet.
    """
    import pandas as pd

    from ml_models.problems.next_product.baselines import neighbours, popular, top_frequency
    from ml_models.problems.next_product.otherwise import best_lists, means, named_by_candidates, otherwise
    from ml_models.problems.next_product.rankings import lists_of
    from ml_models.problems.next_product.training import NEIGHBOURS, POPULAR, TOP_FREQUENCY

    if "product_types" not in company().parts:
        raise StepRefusedError(
            "Expected a company whose file names a product_type in [products], got one without. It asks no question of "
            "what is bought next, so there are no lists to judge."
        )
    if not all(warehouse.exists(NAME, table) for table in ("training_set", "holdout_predictions", "champion")):
        raise StepRefusedError(
            "Expected lists that a training of next product was judged on, got none: it has not been trained yet. "
            "Run `make run`, or wait until the labels of two horizons are known."
        )
    pairs = warehouse.read(
        f"select * from {NAME}.training_set where split = 'holdout' order by cutoff_date, customer_id, product_type"
    )
    served = warehouse.read(
        "select customer_id, cutoff_date, product_type, place, model_version from next_product.holdout_predictions "
        f"where model_version = (select max(model_version) from {NAME}.champion)"
    )
    lists = {
        POPULAR: lists_of(pairs, popular(pairs)),
        NEIGHBOURS: lists_of(pairs, neighbours(pairs)),
        TOP_FREQUENCY: lists_of(pairs, top_frequency(pairs)),
    }
    if len(served):
        mine = pairs[["customer_id", "cutoff_date"]].drop_duplicates()
        lists[f"version {served['model_version'].iloc[0]}"] = served.merge(mine, on=["customer_id", "cutoff_date"])
    bought = purchases(warehouse)
    lists["the best of these candidates"] = best_lists(pairs, bought)
    judged = {name: otherwise(made, bought) for name, made in lists.items()}
    return Measured(
        pd.DataFrame([{"lists": name, **means(rows, SEED)} for name, rows in judged.items()]),
        named_by_candidates(pairs, bought),
        int((judged[POPULAR]["bought"] > 0).sum()),
    )


def purchases(warehouse: Warehouse) -> "pd.DataFrame":
    """Return what the holdout's customers bought within the horizon: is_repeat, and on how many days of it."""
    kept = " and not l.is_return" if "returns" in company().parts else ""
    found = warehouse.read(
        "select o.customer_id, o.cutoff_date, o.product_type, o.is_repeat, l.ordered_on "
        f"from {NAME}.outcomes o inner join marts.order_lines l on l.customer_id = o.customer_id "
        "and l.product_type = o.product_type and l.ordered_on >= o.cutoff_date and l.ordered_on < o.matured_on"
        f"{kept} where o.cutoff_date in (select cutoff_date from {NAME}.training_set where split = 'holdout') "
        f"and o.customer_id in (select customer_id from {NAME}.training_set where split = 'holdout') "
        "group by 1, 2, 3, 4, 5"
    )
    keys = ["customer_id", "cutoff_date", "product_type", "is_repeat"]
    return found.groupby(keys, as_index=False).agg(days=("ordered_on", "size"))
