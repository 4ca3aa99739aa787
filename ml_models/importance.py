"""How much each feature moves a model's predictions, measured alike for whatever model it is."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Predict = Callable[[pd.DataFrame], npt.NDArray[np.float64]]


def feature_importance(predict: Predict, rows: pd.DataFrame, features: Sequence[str]) -> pd.Series:
    """Return by how much predictions move on average when a feature takes its typical value; index: `features`.

    Typical is the median of `rows`. `predict` takes a frame of the features and returns a number a row, (n,): log-odds
    or an amount, and the mean size of the movement is in its unit. For a linear model that is the mean of
    |coefficient * deviation|, exactly. A feature moves alone here: of two that tell the same fact, each is given a part
    of what both say. Without rows all are 0.
    """
    names = list(features)
    if rows.empty:
        return pd.Series(0.0, index=names)
    numbers = rows[names].to_numpy(dtype="float64", na_value=np.nan)
    typical = rows[names].astype("float64").median().to_numpy()
    # Asked once with all that differs, a part a feature after the rows as they are: a call costs more than the rows.
    asked = np.tile(numbers, (len(names) + 1, 1, 1))
    for position in range(len(names)):
        asked[position + 1, :, position] = typical[position]
    said = predict(pd.DataFrame(asked.reshape(-1, len(names)), columns=names)).reshape(len(asked), len(rows))
    return pd.Series(np.abs(said[1:] - said[0]).mean(axis=1), index=names)
