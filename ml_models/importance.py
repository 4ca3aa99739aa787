"""How much each feature moves a model's predictions, measured alike for whatever model it is."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Predict = Callable[[pd.DataFrame], npt.NDArray[np.float64]]


def feature_importance(predict: Predict, rows: pd.DataFrame, features: Sequence[str]) -> pd.Series:
    """Return by how much predictions move on average when a feature takes its typical value; index: `features`.

    Typical is the median of `rows`. `predict` returns a number a row, (n,): log-odds, or an amount. The mean size of
    the movement is in its unit. For a linear model that is the mean of |coefficient * deviation|, exactly. A feature
    moves alone here: of two that tell the same fact, each is given a part of what both say. Without rows all are 0.
    """
    if rows.empty:
        return pd.Series(0.0, index=list(features))
    numbers = rows.astype(dict.fromkeys(features, "float64"))
    typical = numbers[list(features)].median()
    # Asked once with all that differs: a call costs more than the rows.
    asked = [numbers, *(numbers.assign(**{name: typical[name]}) for name in features)]
    said = predict(pd.concat(asked, ignore_index=True)).reshape(len(asked), len(rows))
    return pd.Series(np.abs(said[1:] - said[0]).mean(axis=1), index=list(features))
