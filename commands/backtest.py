"""What a retraining policy would have cost: the recorded weeks, lived through by each, before one is switched on.

The policies see the same weeks, deploy fits of the same recipe and are judged on what really happened. Calendar and
PSI policies promote whatever they fit, as they do in the wild; ours passes a gate. Afterwards some faults are
injected, to see after how many days each policy notices. The warehouse is read, and monitoring.backtest is written.
"""

import argparse
import math
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from assets.problem.backtest import FAULT_COLUMN, compared
from commands.alone import DRILLS, alone
from commands.backtest_lists import report_on_lists
from commands.backtest_rows import aligned, report_on_rows
from commands.drill import ground
from commands.sentences import sentences
from commands.session import instance, quiet
from drills.faults import Expected, Fault, known, lacking
from ml_models.problems.about import FIRST
from resources.company import company
from resources.folders import make_private
from resources.profiles import home, resources_for, stay_embedded
from steps.errors import StepRefusedError
from steps.problem import problem, settings

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.monitoring.prices import Prices
    from ml_models.monitoring.settings import Settings
    from ml_models.policy_backtest import Policy

OURS = "ours"
POLICIES = ("never", "every 4 weeks", "any feature's PSI > .2", OURS)
FAULTS = ("amounts_times_100", "stores_not_loaded", "rows_not_loaded")
"""Faults for the days to detect: the first two that the company can have, because a drill builds each morning from raw
rows. `make drill-all` has all."""
FAULT_WEEKS = 3
PRICES = (0.1, 1.0, 10.0)
"""Times a retraining's price: what another price would have done."""
WORKERS = 2
DAYS_A_MONTH = 365.25 / 12
SHADOW = {"against_calibration": "calibration", "against_scores": "scores"}
"""Evidence that is recorded and not acted on (ml_models/monitoring/anytime_evidence.py), and what it is about."""


@dataclass(frozen=True)
class Job:
    """One policy on the natural year (`fault` empty), or all policies that can notice on one fault."""

    policy: str
    fault: str = ""
    prices: "Prices | None" = None
    price: float = 1.0
    """Times which a retraining's price is taken."""


def main() -> None:
    """Run all policies and print, plot and store the comparison."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--faults", help=f"faults to detect, by comma; empty: none (default: two of {','.join(FAULTS)})"
    )
    arguments.add_argument(
        "--prices",
        default="",
        help="what a retraining, a contact and a missed customer cost, by comma: 500,2,40 (default: the company's)",
    )
    arguments.add_argument(
        "--rows", action="store_true", help="what each reason for choosing training rows would have been worth, instead"
    )
    arguments.add_argument(
        "--lists", action="store_true", help="what lists of next products are worth by several definitions, instead"
    )
    given = arguments.parse_args()

    stay_embedded()
    with sentences():
        chosen, prices = faults_of(given.faults), prices_of(given.prices)
    quiet()
    began = time.monotonic()
    if given.rows or given.lists:
        with sentences(), alone(make_private(home()), lock=DRILLS):
            print(report_on_rows() if given.rows else report_on_lists())
        print(f"{time.monotonic() - began:.0f} s")
        return
    with sentences(), alone(make_private(home()), lock=DRILLS):
        # Recorded once, here; the processes read it.
        ground().recording(_nothing())
        # The longest first, so that no process ends alone with it.
        others = [price for price in PRICES if price != 1] if prices else []
        jobs = [
            *(Job(OURS, "", prices, price) for price in (1.0, *others)),
            *(Job(OURS, name, prices) for name in chosen),
            *(Job(name, "", prices) for name in POLICIES if name != OURS),
        ]
        every, delays = _run(jobs)
        weeks = every[every["price"] == 1]
        table = summary(weeks, delays, chosen)
        print(shown(table, chosen))
        print(*verdicts(table), sep="\n")
        if prices:
            print(priced(by_price(every, prices, problem().question.horizon_cutoffs), prices))
        print(_stored(table, weeks))
    print(f"{time.monotonic() - began:.0f} s")


def faults_of(given: str | None) -> list[str]:
    """Return the faults to detect; by default the usual ones that the company can have."""
    faults, absent = known(FIRST), lacking()
    if given is None:
        return [name for name in FAULTS if name in faults][:2]
    chosen = [name for name in given.split(",") if name]
    strange = [name for name in chosen if name not in faults]
    if strange and strange[0] in absent:
        sys.exit(f"error: {strange[0]} cannot be drilled: {absent[strange[0]]}. There are {', '.join(faults)}.")
    if strange:
        sys.exit(f"error: there is no fault {strange[0]!r}. There are {', '.join(faults)}.")
    return chosen


def prices_of(given: str) -> "Prices | None":
    """Return the prices to count with: those given, or the company's; None where it names none."""
    from ml_models.monitoring.prices import Prices

    if not given:
        return settings().prices
    try:
        retraining, contact, missed = (float(part) for part in given.split(","))
    except ValueError:
        retraining = contact = missed = math.nan
    if not (0 <= retraining < math.inf and 0 < contact < missed < math.inf):
        sys.exit(
            "error: expected prices of a retraining, a contact and a missed customer by comma, a contact below a "
            f"missed customer, such as 500,2,40; got {given!r}."
        )
    return Prices(retraining, contact, missed, company().money.currency)


def _run(jobs: list[Job]) -> "tuple[pd.DataFrame, dict[tuple[str, str], float]]":
    import pandas as pd

    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    parts: list[pd.DataFrame] = []
    delays: dict[tuple[str, str], float] = {}
    with ProcessPoolExecutor(min(WORKERS, len(jobs)), mp_context=context) as pool:
        for job, (weeks, found) in zip(jobs, pool.map(_one, jobs), strict=True):
            print(f"  {job.fault or 'nothing injected'}: {job.policy if not job.fault else 'all policies'}", flush=True)
            delays |= found
            if not job.fault:
                parts.append(weeks)
    return pd.concat(parts, ignore_index=True), delays


def _nothing() -> Fault:
    return Fault("natural_year", "", "benign", (), Expected(("none",), ("continue",)))


def policy_of(name: str, chosen: "Settings | None" = None) -> "Policy":
    """Return a policy by its name in the table; ours decides by these settings."""
    from ml_models.policy_backtest import AnyFeaturePsi, Every, Never, Ours

    made: dict[str, Any] = {one.name: one for one in (Never(), Every(4), AnyFeaturePsi())}
    return made[name] if name in made else Ours(chosen or settings())


def first_monday(cutoffs: list[date], horizon_days: int) -> date:
    """Return the first cutoff at which enough labels have matured for every policy to begin with the same model.

    Raises:
        StepRefusedError: there is none, or its outcome is not known yet, so that nothing could be compared.
    """
    from ml_models.cutoffs import first_judgeable

    first = first_judgeable(cutoffs[0], horizon_days)
    found = next((day for day in cutoffs if day >= first), first)
    known = found + timedelta(days=horizon_days)
    if known > cutoffs[-1]:
        raise StepRefusedError(
            f"Expected cutoffs up to {known} at least: at {found} a model can be fitted and judged for the first time, "
            f"and {horizon_days} days later it is known what that came to. The newest is {cutoffs[-1]}. Load a longer "
            f"history, or ask over a shorter horizon than {horizon_days} days."
        )
    return found


def _one(job: Job) -> "tuple[pd.DataFrame, dict[tuple[str, str], float]]":
    """Run one job in a process of its own."""
    import warnings

    from drills.run import middle
    from drills.scenario import DrilledHistory
    from ml_models.policy_backtest import simulate
    from ml_models.training.search import simplest_recipe

    warnings.simplefilter("ignore")
    quiet()
    made = ground(threads=1)
    fault = known(FIRST)[job.fault] if job.fault else _nothing()
    recording = made.recording(fault)
    if job.fault:
        start = fault.start or middle(recording, problem(), fault.kind)
    else:
        start = first_monday(recording.cutoffs, problem().horizon_days)
    history = DrilledHistory(fault, start, recording, made.sandbox, problem(), made.lineage, made.owners)
    fit = simplest_recipe(problem())
    chosen = replace(settings(), prices=job.prices.times(job.price) if job.prices else None)
    if not job.fault:
        policy, end = policy_of(job.policy, chosen), recording.cutoffs[-1]
        result = simulate(history, policy, start, end, fit, chosen, gate=job.policy == OURS)
        shadow = {day: one.shadow for day, one in result.judgements.items() if one.shadow is not None}
        days = result.weeks["cutoff_date"].dt.date
        return result.weeks.assign(
            policy=job.policy,
            price=job.price,
            against_calibration=days.map({day: one.calibration.capital for day, one in shadow.items()}),
            against_scores=days.map({day: one.scores.capital for day, one in shadow.items()}),
        ), {}
    delays = {}
    end = min(start + timedelta(days=7 * FAULT_WEEKS), recording.cutoffs[-1])
    for name in (OURS, "any feature's PSI > .2"):
        result = simulate(history, policy_of(name, chosen), start, end, fit, chosen, gate=name == OURS)
        loud = result.weeks[~result.weeks["scheduled"].astype(bool)]
        loud = loud[(loud["action"] != "continue") & (loud["cutoff_date"].dt.date > start)]
        first = loud["cutoff_date"].min()
        delays[name, job.fault] = math.nan if loud.empty else float((first.date() - start).days)
    return result.weeks, delays


def summary(weeks: "pd.DataFrame", delays: dict[tuple[str, str], float], faults: list[str]) -> "pd.DataFrame":
    """Return one row a policy: log_loss, auc, calibration_error, retrainings, false_alarms_a_month, days to detect.

    Means over cutoffs whose outcome is known, by rows. A false alarm is an action on the natural year that something
    seen in the data asked for; a calendar asks for nothing, so it has none, and detects nothing (null).
    """
    import numpy as np
    import pandas as pd

    rows = []
    for policy in [name for name in POLICIES if name in set(weeks["policy"])]:
        part = weeks[weeks["policy"] == policy]
        matured = part.dropna(subset=["log_loss"])
        watches = policy in (OURS, "any feature's PSI > .2")
        months = 7 * len(part) / DAYS_A_MONTH
        alarms = part[(part["action"] != "continue") & ~part["scheduled"].astype(bool)]
        row: dict[str, object] = {"policy": policy}
        row |= {
            name: float(np.average(matured[name], weights=matured["rows"]))
            for name in ("log_loss", "auc", "calibration_error")
        }
        row |= {
            "retrainings": int((part["action"] == "improve").sum()),
            "false_alarms_a_month": len(alarms) / months if watches else math.nan,
        }
        row |= {name: part[name].max() for name in SHADOW}
        row |= {f"{FAULT_COLUMN}{name}": delays.get((policy, name), math.nan) for name in faults}
        rows.append(row)
    return pd.DataFrame(rows)


def shown(table: "pd.DataFrame", faults: list[str]) -> str:
    """Return the table for a person."""

    def number(value: Any, form: str, without: str = "-") -> str:
        return without if value != value else format(value, form)

    titles = ["policy", "log-loss", "AUC", "calibration", "retrained", "false alarms/month", *faults]
    cells = [titles]
    for row in table.to_dict("records"):
        watches = row["false_alarms_a_month"] == row["false_alarms_a_month"]
        cells.append(
            [
                str(row["policy"]),
                number(row["log_loss"], ".4f"),
                number(row["auc"], ".4f"),
                number(row["calibration_error"], ".4f"),
                str(row["retrainings"]),
                number(row["false_alarms_a_month"], ".1f"),
                *(number(row[f"{FAULT_COLUMN}{name}"], ".0f", "missed" if watches else "-") for name in faults),
            ]
        )
    note = "retrained: models fitted. Fault columns: days from the fault's first day until the policy acts."
    return "\n".join(["", *aligned(cells), "", note])


def by_price(weeks: "pd.DataFrame", prices: "Prices", horizon_cutoffs: int) -> "pd.DataFrame":
    """Return what ours would have done at each price of a retraining, and the other policies at the given one.

    policy, price (of a retraining), retrainings, log_loss, acting (contacts and missed customers of the weeks whose
    outcome is known, each customer decided on once a horizon), total (with the retrainings).
    """
    import numpy as np
    import pandas as pd

    rows: list[dict[str, object]] = []
    for (policy, _), part in weeks.groupby(["policy", "price"], sort=False):
        matured = part.dropna(subset=["cost"])
        price, count = float(part["price"].iloc[0]) * prices.retraining, int((part["action"] == "improve").sum())
        # A customer is in as many weekly cutoffs as a horizon spans, and is decided on once.
        acting = float((matured["cost"] * matured["rows"]).sum()) / horizon_cutoffs
        loss = float(np.average(matured["log_loss"], weights=matured["rows"]))
        found = {"policy": policy, "price": price, "retrainings": count, "log_loss": loss, "acting": acting}
        rows.append({**found, "total": acting + count * price})
    table = pd.DataFrame(rows)
    ours = table["policy"] == OURS
    return pd.concat([table[ours].sort_values("price"), table[~ours]], ignore_index=True)


def priced(table: "pd.DataFrame", prices: "Prices") -> str:
    """Return the table of prices for a person."""
    titles = ["policy", "a retraining costs", "retrained", "log-loss", "contacts and missed", "with retrainings"]
    cells = [titles] + [
        [
            str(row["policy"]),
            f"{row['price']:,.0f}",
            str(row["retrainings"]),
            f"{row['log_loss']:.4f}",
            f"{row['acting']:,.0f}",
            f"{row['total']:,.0f}",
        ]
        for row in table.to_dict("records")
    ]
    note = (
        f"{prices.currency}; a contact costs {prices.contact:g}, a missed customer {prices.missed_customer:g}: "
        f"customers are contacted from {prices.threshold:.1%} on."
    )
    return "\n".join(["", "By price:", *aligned(cells), "", note])


def verdicts(table: "pd.DataFrame") -> list[str]:
    """Return what the table says, where ours is not the best included."""
    if OURS not in set(table["policy"]):
        return []
    named = {"log_loss": (1, "log-loss"), "auc": (-1, "AUC"), "calibration_error": (1, "calibration error")}
    lines = []
    for name, (sign, words) in named.items():
        values = dict(zip(table["policy"], table[name], strict=True))
        best = min(values, key=lambda policy: sign * values[policy])
        mine, other = values[OURS], values[best]
        if best == OURS:
            lines.append(f"{words}: ours is the best ({mine:.4f}).")
        else:
            fitted, own = (int(table.loc[table["policy"] == one, "retrainings"].iloc[0]) for one in (best, OURS))
            lines.append(
                f"{words}: {best} is better than ours ({other:.4f} against {mine:.4f}), with {fitted} models fitted "
                f"instead of {own}."
            )
    return [*lines, shadow_verdict(table)]


def shadow_verdict(table: "pd.DataFrame") -> str:
    """Return how far evidence against our champions went, as if it had been acted on."""
    from ml_models.monitoring.anytime_evidence import ALPHA

    ours = table[table["policy"] == OURS].iloc[0]
    peaks = {words: float(ours[name]) for name, words in SHADOW.items()}
    told = " and ".join(f"{peak:,.2g} ({words})" for words, peak in peaks.items())
    loud = [words for words, peak in peaks.items() if peak >= 1 / ALPHA]
    return (
        f"in shadow: evidence against the champion went up to {told}; from {1 / ALPHA:.0f} on it would be an alarm, "
        f"which chance brings in at most {ALPHA:.0%} of all half-years, each by itself. "
        + (f"Acted on, it would have been one for {' and '.join(loud)}." if loud else "It would have been none.")
    )


def _stored(table: "pd.DataFrame", weeks: "pd.DataFrame") -> str:
    """Write table, weeks and plot under the home, the table to the warehouse, and show it on the asset's page."""
    from ml_models.plots import backtest_plot

    folder = home() / "backtest"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "backtest.csv", index=False)
    weeks.to_csv(folder / "weeks.csv", index=False)
    plot = backtest_plot(weeks)
    (folder / "backtest.png").write_bytes(plot)
    rows = table.assign(run_on=str(date.today()))
    with instance() as opened:
        resources_for()["warehouse"].replace_table("monitoring", "backtest", rows)
        opened.report_runless_asset_event(compared(rows, plot, verdicts(table)))
    return (
        f"\nplot: {folder / 'backtest.png'}; weeks: {folder / 'weeks.csv'}; table: monitoring.backtest, also on the "
        "page of the asset monitoring/backtest (make ui)"
    )


if __name__ == "__main__":
    main()
