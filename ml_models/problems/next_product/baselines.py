"""The rules that a model has to beat: what a customer bought most often, and what similar customers buy.

- GP-TopFreq: the customer's own types by how often, filled up with what most customers buy. Published neural methods
  often fail to beat it (Li, Jullien, Ariannezhad and de Rijke, 2023, "A Next Basket Recommendation Reality
  Check", TOIS).
- Neighbours: the customer's own frequencies beside the mean of those of the most similar customers, after TIFU-KNN (Hu,
  He, Gao and Zhang, 2020). Theirs are weighted by the age of a basket; `faded_days` is that here.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]

NEIGHBOURS = 100
OWN_WEIGHT = 0.8
"""Number of neighbours, and the weight of the customer's own frequencies beside theirs."""

BLOCK = 512
"""So many customers are held against all others at a time."""

AMONG = 20_000
"""Neighbours are looked for among so many customers of a cutoff at most, in the order of their identifiers."""


def top_frequency(pairs: pd.DataFrame) -> Array:
    """Return the score of GP-TopFreq, (n,): days bought, popularity among equals and for what was never bought."""
    return _by_days(pairs, pairs["days_bought"])


def long_frequency(pairs: pd.DataFrame) -> Array:
    """Return the same with the days of the three look-backs before, (n,): the harder rule to beat."""
    return _by_days(pairs, pairs["days_bought"] + pairs["days_bought_before"].fillna(0))


def _by_days(pairs: pd.DataFrame, days: "pd.Series[float]") -> Array:
    popularity = 0.5 * (pairs["popularity_lately"].fillna(0) + pairs["popularity"])
    return (days + 0.5 * popularity).to_numpy(dtype="float64")


def popular(pairs: pd.DataFrame) -> Array:
    """Return the popularity of late, (n,): the same list for everybody, but for what is no candidate of theirs."""
    return pairs["popularity_lately"].fillna(0).to_numpy(dtype="float64")


def neighbours(pairs: pd.DataFrame, among: int = AMONG, own_weight: float = OWN_WEIGHT) -> Array:
    """Return own faded frequency beside the mean of the nearest customers' at the same cutoff, (n,).

    Vectors of faded days over product types have length one; near is a high cosine. A customer is no neighbour of
    theirs. Memory: a block of customers against `among` others.
    """
    scores = np.zeros(len(pairs))
    for places in pairs.groupby("cutoff_date").indices.values():
        scores[places] = _of_cutoff(pairs.iloc[places], among, own_weight)
    return scores


def _of_cutoff(pairs: pd.DataFrame, among: int, own_weight: float) -> Array:
    from scipy.sparse import csr_matrix

    customers, names = pd.factorize(pairs["customer_id"], sort=True)
    types, columns = pd.factorize(pairs["product_type"], sort=True)
    values = pairs["faded_days"].to_numpy(dtype="float64")
    vectors = csr_matrix((values, (customers, types)), shape=(len(names), len(columns)))
    lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    vectors = csr_matrix(vectors.multiply(1 / np.where(lengths > 0, lengths, 1)[:, None]))
    known = vectors[:among]
    own = values / np.where(lengths > 0, lengths, 1)[customers]
    near = np.zeros(len(pairs))
    for first in range(0, len(names), BLOCK):
        block = vectors[first : first + BLOCK]
        alike = (block @ known.T).toarray()
        itself = np.arange(block.shape[0])
        inside = itself + first < alike.shape[1]
        alike[itself[inside], itself[inside] + first] = -1
        count = min(NEIGHBOURS, alike.shape[1] - 1)
        if count < 1:
            continue
        chosen = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        weights = csr_matrix(
            (np.full(chosen.size, 1 / count), chosen.ravel(), np.arange(0, chosen.size + 1, count)),
            shape=(block.shape[0], known.shape[0]),
        )
        means = (weights @ known).toarray()
        held = (customers >= first) & (customers < first + BLOCK)
        near[held] = means[customers[held] - first, types[held]]
    return np.asarray(own_weight * own + (1 - own_weight) * near, dtype="float64")
