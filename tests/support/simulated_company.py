"""Companies whose truth is known: any rate of lapsing, any number of customers and cutoffs, a season, a wish for RFM.

Visits are simulated by day and features computed from them, so that neighbouring cutoffs overlap as real ones do. The
label is drawn from a known probability: of recency, frequency and money, of a trend beside them, of the week, and of
the customer's own lasting mood, which makes a customer's rows alike. Deterministic for a seed.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
from support.bundled import PROBLEM

from ml_models.problems.contract import Problem

FEATURES = (
    "recency_days",
    "trips_14d",
    "trips_28d",
    "trips_84d",
    "active_days_28d",
    "active_days_84d",
    "spend_cents_28d",
    "spend_cents_84d",
    "mean_basket_cents_84d",
    "trips_ratio_28d_84d",
    "categories_84d",
    "weekend_share_84d",
)
WINDOW, POPULATION = 84, 28


@dataclass(frozen=True)
class Company:
    """What is true of it. `rate`: of lapsing, 0 to 1; `signal`: how far customers are apart, in log-odds of one
    standard deviation; `trend`: the part of it that RFM does not see, 0 to 1; `season`: the standard deviation of the
    weeks' log- odds; `mood`: that of the customers'.
    """

    rate: float
    customers: int
    cutoffs: int
    seed: int = 1
    signal: float = 1.3
    trend: float = 0.5
    season: float = 0.1
    mood: float = 0.5


def problem_of(*, names: tuple[str, ...] = ("logistic", "rfm_logistic", "recency_rule")) -> Problem:
    """Return the lapse problem with the simulated features and the candidates of these names."""
    candidates = tuple(one for one in PROBLEM.candidates if one.name in names)
    return replace(PROBLEM, features=FEATURES, candidates=candidates)


def rows_of(company: Company) -> pd.DataFrame:
    """Return keys, FEATURES and `lapsed`, about `customers` rows at each weekly cutoff."""
    generator = np.random.default_rng(company.seed)
    # About one in six has not come for four weeks and is not scored.
    people, days = round(company.customers * 1.2), WINDOW + 7 * (company.cutoffs - 1)
    pace = np.exp(generator.normal(-2.0, 0.8, size=people)).clip(0.02, 0.9)
    drift = np.cumsum(generator.normal(0, 0.05, size=(people, days)), axis=1)
    visits = generator.poisson(pace[:, None] * np.exp(drift.clip(-1.5, 1.5)))
    spend = visits * np.round(np.exp(generator.normal(7.8, 0.6, size=(people, 1)))).astype("int64")
    mood, weekend = generator.normal(0, company.mood, size=people), generator.beta(2, 5, size=people)
    frames = []
    for week in range(company.cutoffs):
        frame = _features(visits[:, 7 * week : 7 * week + WINDOW], spend[:, 7 * week : 7 * week + WINDOW])
        here = frame.index.to_numpy()
        day = pd.Timestamp(date(2017, 3, 27)) + pd.Timedelta(weeks=week)
        share = np.clip(weekend[here] + generator.normal(0, 0.02, size=len(here)), 0, 1)
        frames.append(frame.assign(customer_id=np.char.add("c", here.astype(str)), cutoff_date=day, mood=mood[here]))
        frames[-1]["weekend_share_84d"] = share
    rows = pd.concat(frames, ignore_index=True)
    weeks = generator.normal(0, company.season, size=company.cutoffs)
    by_week = pd.Series(weeks, index=sorted(rows["cutoff_date"].unique()))
    risk = company.signal * _risk(rows, company.trend) + rows["mood"] + rows["cutoff_date"].map(by_week)
    probability = _centred(risk.to_numpy(), company.rate)
    lapsed = (generator.random(len(rows)) < probability).astype("int64")
    return rows.assign(lapsed=lapsed)[["customer_id", "cutoff_date", *FEATURES, "lapsed"]]


def _features(visits: npt.NDArray[np.int64], spend: npt.NDArray[np.int64]) -> pd.DataFrame:
    seen = visits > 0
    here = np.flatnonzero(seen[:, -POPULATION:].any(axis=1))
    seen, visits, spend = seen[here], visits[here], spend[here]
    trips, money = visits.sum(axis=1), spend.sum(axis=1)
    return pd.DataFrame(
        {
            "recency_days": 1 + seen[:, ::-1].argmax(axis=1),
            "trips_14d": visits[:, -14:].sum(axis=1),
            "trips_28d": visits[:, -28:].sum(axis=1),
            "trips_84d": trips,
            "active_days_28d": seen[:, -28:].sum(axis=1),
            "active_days_84d": seen.sum(axis=1),
            "spend_cents_28d": spend[:, -28:].sum(axis=1),
            "spend_cents_84d": money,
            "mean_basket_cents_84d": money / trips,
            "trips_ratio_28d_84d": 3 * visits[:, -28:].sum(axis=1) / trips,
            "categories_84d": 2 + trips,
        },
        index=here,
    )


def _risk(rows: pd.DataFrame, trend: float) -> pd.Series:
    """Return the risk that the features speak for, of mean 0 and deviation 1."""
    rfm = _standard(np.log1p(rows["recency_days"])) - _standard(np.log1p(rows["active_days_84d"]))
    beside = -_standard(rows["trips_ratio_28d_84d"])
    return _standard((1 - trend) * _standard(rfm) + trend * beside)


def _standard(values: pd.Series) -> pd.Series:
    return (values - values.mean()) / values.std()


def _centred(risk: npt.NDArray[np.float64], rate: float) -> npt.NDArray[np.float64]:
    """Return probabilities with these differences in log-odds and this mean, by bisection."""
    low, high = -15.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = float((1 / (1 + np.exp(-(risk + middle)))).mean())
        low, high = (middle, high) if mean < rate else (low, middle)
    return 1 / (1 + np.exp(-(risk + low)))
