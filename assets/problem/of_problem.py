"""What is there for a problem: its assets and checks, in the order in which its data flows.

The first problem has the tables that it always had, and what people read beside them: campaigns, the serving copy, the
judgement of the data. A further one is made of its `ABOUT`, by the kind of what it predicts.
"""

from collections.abc import Callable, Mapping

import dagster as dg

from assets.problem.amounts import amount_assets
from assets.problem.campaigns import CAMPAIGN_ASSETS
from assets.problem.candidate import candidate
from assets.problem.catalogue import catalogue
from assets.problem.drift import DRIFT_ASSETS
from assets.problem.frame import FEATURE_ASSETS
from assets.problem.judgement import judgement
from assets.problem.model_card import model_card
from assets.problem.next_product import list_assets
from assets.problem.performance import PERFORMANCE_ASSETS
from assets.problem.predictions import PREDICTION_ASSETS
from assets.problem.promotion import champion
from assets.problem.rows_chosen import label_suspects, rows_chosen
from assets.problem.serving import serving_copy
from assets.problem.training_set import training_set
from ml_models.problems.about import FIRST, About

Asset = dg.AssetsDefinition | dg.AssetChecksDefinition

_OF_KIND: Mapping[str, Callable[[About], list[Asset]]] = {"ranking": list_assets, "regression": amount_assets}


def problem_assets(problem: About) -> list[Asset]:
    """Return the assets and checks of a problem.

    Raises:
        ValueError: nothing makes those of a further problem of this kind.
    """
    if problem.name == FIRST:
        return [
            *FEATURE_ASSETS,
            training_set,
            rows_chosen,
            candidate,
            champion,
            *PREDICTION_ASSETS,
            *CAMPAIGN_ASSETS,
            *PERFORMANCE_ASSETS,
            *DRIFT_ASSETS,
            label_suspects,
            judgement,
            model_card,
            catalogue,
            serving_copy,
        ]
    if problem.kind not in _OF_KIND:
        raise ValueError(
            f"Expected the problem {problem.name} to be of a kind whose assets can be made "
            f"({', '.join(sorted(_OF_KIND))}), got {problem.kind!r}; add what makes them to "
            "assets/problem/of_problem.py."
        )
    return _OF_KIND[problem.kind](problem)
