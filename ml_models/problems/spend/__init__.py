"""The spend problem: how much money a customer leaves within the horizon, nothing included.

`problem` makes what training and monitoring are given (`spend`). It reads the features of `lapse`, of the same
customers at the same cutoffs, so the two share one feature frame. Nothing heavy is imported here.
"""

from ml_models.problems.about import About

ABOUT = About(
    name="spend",
    kind="regression",
    outcome="spend_cents_next_{horizon_days}d",
    predicts="what the customer is expected to spend within the horizon, whoever stays away with zero",
    unit="cents",
    made_by="ml_models.problems.spend.problem:spend",
)
