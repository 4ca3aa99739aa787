"""The lapse problem: which customers will not come again within the horizon.

`features` says what may be known of a customer (`catalogue`), `frame` is what the asset `features/feature_frame`
validates with, `problem` makes what training, monitoring and the drills are given (`lapse`). Nothing heavy is imported
here: the catalogue is read where scikit-learn and pandera are not loaded.
"""

from ml_models.problems.about import About

ABOUT = About(
    name="lapse",
    kind="binary",
    outcome="lapsed",
    predicts="the probability that the customer does not buy within the horizon",
    unit="probability",
    made_by="ml_models.problems.lapse.problem:lapse",
)
