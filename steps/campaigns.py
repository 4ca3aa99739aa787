"""A campaign with a holdout that chance makes: who is drawn at a cutoff, and what the calls changed.

Chance decides about a customer once, at the first cutoff at which they are worth a call, for as long as the outcome of
that cutoff is open. In the weeks between they keep their part: were they drawn anew every Monday, whoever is held out
would be called a week later, and nobody would be left to compare with. Only the row of the draw itself is judged.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from resources.company import Company, company
from resources.company.choice import chosen
from resources.warehouse import Warehouse
from steps.migrations import ensure
from steps.problem import problem
from steps.tables import CAMPAIGN_ASSIGNMENT, CAMPAIGN_EFFECT, store, typed

if TYPE_CHECKING:
    import pandas as pd

    from ml_models.campaigns.effect import Week

TABLE, CALLS = "campaigns.assignment", "staging.stg_calls"

CHECKED = 8
"""Of the newest cutoffs, the draws are made again and compared: two horizons, in which somebody may still be called."""


class Assigned(NamedTuple):
    """What happened, in words; the cutoff, and how many of its customers have which part, null where nobody has one."""

    what: str
    cutoff: date | None = None
    parts: Mapping[str, int] | None = None


ODDS = "probability that chance holds out such a share, 0 to 1, at least"


class Finding(NamedTuple):
    """Whether what was looked at is as it must be, and a sentence; `judged` is False where there was nothing.

    `measured` stands against `bound`, in `unit`; None: there was nothing to measure.
    """

    passed: bool
    sentence: str
    judged: bool = True
    measured: float | None = None
    bound: float = 0
    unit: str = "draws that are not what chance gave, at most"


def seed() -> str:
    """Return what makes the draws of this company and problem others than those of another."""
    return f"{chosen()}/{problem().name}"


def assign(warehouse: Warehouse, ours: Company | None = None) -> Assigned:
    """Draw who is held out of the customers worth a call at the newest scored cutoff, and keep it.

    What was assigned is never rewritten: a customer who becomes worth a call later, because a new champion scored the
    week again, is added. A cutoff whose outcome is known already is not drawn for: nobody acted on that.
    """
    import pandas as pd

    from ml_models.campaigns.draw import drawn, part_of

    ours = ours or company()
    ensure(warehouse, CAMPAIGN_ASSIGNMENT)
    if ours.calls is None:
        return Assigned("nobody is held out: company.toml has no [calls], and no effect of calls is claimed")
    cutoff = _newest(warehouse)
    if cutoff is None:
        return Assigned("nobody is held out yet: no cutoff is scored")
    if _is_over(warehouse, cutoff):
        return Assigned(f"nobody is held out of cutoff {cutoff}: its outcome is known, so nobody can act on it", cutoff)
    worth = warehouse.read(
        "select customer_id, score, expected_loss from marts.customers_at_risk where worth_calling order by customer_id"
    )
    before = warehouse.read(f"select * from {TABLE} where cutoff_date = ?", [cutoff])
    new = worth[~worth["customer_id"].isin(before["customer_id"])]
    horizon = timedelta(days=problem().horizon_days)
    running = warehouse.read(
        f"select customer_id, arm, drawn_on, draw, share from {TABLE} "
        "where drawn_on = cutoff_date and cutoff_date > ? and cutoff_date < ? order by cutoff_date",
        [cutoff - horizon, cutoff],
    )
    ours_now, rows = ours.calls.held_out, []
    # The newest draw, where a home that somebody mended has two of one customer.
    parts = running.drop_duplicates("customer_id", keep="last").set_index("customer_id").to_dict("index")
    for row in new.to_dict("records"):
        part = parts.get(row["customer_id"])
        if part is None:
            draw = drawn(seed(), cutoff, str(row["customer_id"]))
            part = {"arm": part_of(draw, ours_now), "drawn_on": cutoff, "draw": draw, "share": ours_now}
        rows.append({**row, **part})
    made = pd.DataFrame(rows, columns=["customer_id", "score", "expected_loss", "arm", "drawn_on", "draw", "share"])
    made["drawn_on"] = pd.to_datetime(made["drawn_on"])
    made = made.assign(
        cutoff_date=pd.Timestamp(cutoff),
        ends_on=made["drawn_on"] + pd.Timedelta(horizon),
        assigned_at=pd.Timestamp(datetime.now(UTC)),
    )
    if len(made):
        kept = typed(pd.concat([before, made], ignore_index=True) if len(before) else made, CAMPAIGN_ASSIGNMENT)
        warehouse.replace_partitions("campaigns", "assignment", kept, column="cutoff_date", values=[cutoff])
    return _told(warehouse, cutoff, int((made["drawn_on"] == pd.Timestamp(cutoff)).sum()))


def drawn_by_chance(warehouse: Warehouse) -> Finding:
    """Look whether the newest draws are what chance gave: made again they are the same, and the share is as asked."""
    from ml_models.campaigns.draw import FAULTY, drawn, part_of

    ensure(warehouse, CAMPAIGN_ASSIGNMENT)
    weeks = warehouse.read(
        f"select cutoff_date, share, count(*) as n, sum(case when arm = 'held out' then 1 else 0 end) as held_out "
        f"from {TABLE} where drawn_on = cutoff_date group by cutoff_date, share order by cutoff_date desc"
    )
    if weeks.empty:
        return Finding(True, "nobody was drawn yet", judged=False, measured=0)
    since = sorted(set(weeks["cutoff_date"]), reverse=True)[:CHECKED][-1].date()
    rows = warehouse.read(
        f"select cutoff_date, customer_id, arm, share, draw from {TABLE} "
        "where drawn_on = cutoff_date and cutoff_date >= ?",
        [since],
    )
    other = [
        row
        for row in rows.to_dict("records")
        if part_of(drawn(seed(), row["cutoff_date"].date(), str(row["customer_id"])), row["share"]) != row["arm"]
    ]
    if other:
        one = other[0]
        return Finding(
            False,
            f"Expected the part of each customer in {TABLE} as chance gave it, and {len(other):,} of {len(rows):,} "
            f"since {since} have another, such as {one['customer_id']} at {one['cutoff_date'].date()}: {one['arm']}. "
            "Somebody changed the table by hand. Bring it back from a backup; until then the effect is not to be "
            "trusted.",
            measured=len(other),
        )
    chance = _chance(weeks)
    held, all_drawn = int(weeks["held_out"].sum()), int(weeks["n"].sum())
    said = f"{held:,} of {all_drawn:,} drawn are held out, {held / all_drawn:.1%}"
    if chance < FAULTY:
        return Finding(
            False,
            f"Expected a share held out as asked for, and {said}: chance would do that once in {1 / chance:,.0f} "
            f"times. Rows of {TABLE} are missing. Look who deleted some, and bring them back from a backup; until then "
            "the effect is not to be trusted.",
            measured=chance,
            bound=FAULTY,
            unit=ODDS,
        )
    return Finding(True, f"{said}; each is where chance put them.", measured=0)


def measure(warehouse: Warehouse, ours: Company | None = None) -> "pd.DataFrame":
    """Compare who was to be called with who was held out, where the outcome is known; write and return the table."""
    import pandas as pd

    ours = ours or company()
    ensure(warehouse, CAMPAIGN_ASSIGNMENT)
    matured = _matured(warehouse, ours)
    rows = [_row(cutoff, arms, ours) for cutoff, arms in matured.groupby("cutoff_date")]
    if len(matured):
        rows.append(_row(None, matured, ours))
    made = typed(pd.DataFrame(rows), CAMPAIGN_EFFECT)
    store(warehouse, CAMPAIGN_EFFECT, made)
    return made


def shares_hold(effect: "pd.DataFrame") -> Finding:
    """Look whether who is compared is who was drawn: no part may have lost customers on the way to the outcome."""
    from ml_models.campaigns.draw import FAULTY

    whole = effect[effect["cutoff_date"].isna()]
    if whole.empty:
        return Finding(True, "no draw has met its outcome yet", judged=False, bound=FAULTY, unit=ODDS)
    chance, sentence = float(whole["chance"].iloc[0]), str(whole["sentence"].iloc[0])
    return Finding(chance >= FAULTY, sentence, measured=chance, bound=FAULTY, unit=ODDS)


def _newest(warehouse: Warehouse) -> date | None:
    newest = warehouse.read("select max(cutoff_date) as newest from marts.customers_at_risk")["newest"].iloc[0]
    return None if newest != newest else newest.date()


def _is_over(warehouse: Warehouse, cutoff: date) -> bool:
    found = warehouse.read("select count(*) as n from outcomes.customer_outcomes where cutoff_date = ?", [cutoff])
    return bool(found["n"].iloc[0])


def _told(warehouse: Warehouse, cutoff: date, new: int) -> Assigned:
    """Return what the cutoff's parts are now."""
    found = warehouse.read(f"select arm, count(*) as n from {TABLE} where cutoff_date = ? group by arm", [cutoff])
    parts = {str(row["arm"]): int(row["n"]) for row in found.to_dict("records")}
    if not parts:
        return Assigned(f"nobody is worth a call at cutoff {cutoff}, so nobody is held out", cutoff, parts)
    return Assigned(
        f"cutoff {cutoff}: {parts.get('call', 0):,} to call, {parts.get('held out', 0):,} held out by chance; "
        f"{new:,} of them drawn now",
        cutoff,
        parts,
    )


def _chance(weeks: "pd.DataFrame") -> float:
    from ml_models.campaigns.draw import chance_of_share

    groups = [(int(n), float(share)) for n, share in zip(weeks["n"], weeks["share"], strict=True)]
    return chance_of_share(int(weeks["held_out"].sum()), groups)


def _matured(warehouse: Warehouse, ours: Company) -> "pd.DataFrame":
    """Return sums a cutoff, share and part of those drawn then whose outcome is known; what is not recorded is null."""
    # A double: the sum of squares is more than a whole number holds.
    spend = f"1e0 * o.spend_cents_next_{problem().horizon_days}d"
    recorded = "calls" in ours.parts
    # The day after the last one of the horizon is `matured_on`.
    called = (
        f"left join (select distinct b.cutoff_date, b.customer_id from {TABLE} as b "
        f"inner join {CALLS} as s on s.customer_id = b.customer_id "
        "where s.called_on >= b.drawn_on and s.called_on < b.ends_on and b.drawn_on = b.cutoff_date) as c "
        "on c.cutoff_date = a.cutoff_date and c.customer_id = a.customer_id "
    )
    found = warehouse.read(
        "select a.cutoff_date, a.share, a.arm, count(*) as n, sum(o.lapsed) as lapsed, "
        f"sum({spend}) as spend, sum({spend} * {spend}) as squares, sum(a.score) as scores"
        f"{', count(c.customer_id) as reached' if recorded else ''} "
        f"from {TABLE} as a inner join outcomes.customer_outcomes as o "
        "on o.customer_id = a.customer_id and o.cutoff_date = a.cutoff_date "
        f"{called if recorded else ''}"
        "where a.drawn_on = a.cutoff_date group by a.cutoff_date, a.share, a.arm order by a.cutoff_date, a.share, a.arm"
    )
    return found if recorded else found.assign(reached=float("nan"))


def _row(cutoff: object, arms: "pd.DataFrame", ours: Company) -> dict[str, object]:
    """Return the row of one cutoff, or of all together where `cutoff` is None."""
    from ml_models.campaigns import effect
    from ml_models.campaigns.draw import CALL, FAULTY, HELD_OUT

    together = cutoff is None
    totals = {part: arms[arms["arm"] == part].sum(numeric_only=True) for part in (CALL, HELD_OUT)}
    called, held = (int(totals[part]["n"]) for part in (CALL, HELD_OUT))
    weeks = _weeks(arms)
    errors = effect.at_every_look(called + held) if together else effect.ONCE
    kept, gained = effect.kept(weeks, errors), effect.gained(weeks, errors)
    share = float((arms["share"] * arms["n"]).sum() / arms["n"].sum())
    base = float(arms["lapsed"].sum() / arms["n"].sum())
    needed = effect.customers_needed(base, (ours.prices and ours.prices.won_back) or 1.0, share)
    drawn = arms.assign(held_out=arms["n"].where(arms["arm"] == HELD_OUT, 0))
    drawn = drawn.groupby(["cutoff_date", "share"])[["n", "held_out"]].sum().reset_index()
    chance = _chance(drawn)

    def mean(column: str, part: str, unit: float = 1.0) -> float | None:
        total = totals[part]
        return float(total[column] / total["n"] / unit) if total["n"] else None

    recorded = bool(arms["reached"].notna().any())
    row: dict[str, object] = {
        "cutoff_date": cutoff,
        "called": called,
        "held_out": held,
        "lapsed_called": mean("lapsed", CALL),
        "lapsed_held_out": mean("lapsed", HELD_OUT),
        **dict(zip(("kept", "kept_low", "kept_high"), kept, strict=True)),
        "spend_called": mean("spend", CALL, 100),
        "spend_held_out": mean("spend", HELD_OUT, 100),
        **dict(zip(("gained", "gained_low", "gained_high"), (one / 100 for one in gained), strict=True)),
        "score_called": mean("scores", CALL),
        "score_held_out": mean("scores", HELD_OUT),
        "reached": mean("reached", CALL) if recorded else None,
        "reached_held_out": mean("reached", HELD_OUT) if recorded else None,
        "needed": needed,
        "chance": chance,
    }
    if not together:
        return row
    verdict = effect.verdict_of(kept, called, held, needed)
    if recorded and not row["reached"]:
        verdict = effect.NOBODY
    if chance < FAULTY:
        verdict = effect.FAULTY_DRAW
    row["verdict"] = verdict
    row["sentence"] = sentence_of(row, verdict, ours.money.currency)
    return row


def _weeks(arms: "pd.DataFrame") -> "Sequence[Week]":
    """Return the groups that are compared within themselves: a cutoff, and where the share changed, a share."""
    from ml_models.campaigns.draw import CALL, HELD_OUT
    from ml_models.campaigns.effect import Arm, Week

    weeks = []
    for _, group in arms.groupby(["cutoff_date", "share"]):
        found = {row["arm"]: row for row in group.to_dict("records")}
        called, held = (
            Arm(int(row["n"]), int(row["lapsed"]), float(row["spend"]), float(row["squares"])) if row else Arm(0, 0)
            for row in (found.get(CALL), found.get(HELD_OUT))
        )
        weeks.append(Week(called, held))
    return weeks


def sentence_of(row: Mapping[str, object], verdict: str, currency: str) -> str:
    """Return what all weeks together say, in words: the verdict, the figures, and how it is known who was called."""
    from ml_models.campaigns import effect

    def percent(name: str, digits: int = 1) -> str:
        value = row[name]
        return f"{100 * float(str(value)):.{digits}f}"

    figures = f"{row['called']:,} were to be called and {row['held_out']:,} held out by chance."
    if verdict == effect.FAULTY_DRAW:
        return (
            f"No effect is claimed: {figures} Chance would hold out such a share once in "
            f"{1 / max(float(str(row['chance'])), 1e-12):,.0f} times, so customers are missing from one of the parts."
        )
    if verdict == effect.NOBODY:
        return f"No effect is claimed: {figures} By the record of calls, nobody who was to be called was."
    if row["kept"] is None or row["kept"] != row["kept"]:
        return f"Too few to say: {figures}"
    kept, low, high = (percent(name) for name in ("kept", "kept_low", "kept_high"))
    of_lapses = (
        f"Of 100 to be called {percent('lapsed_called')} lapsed, of 100 held out {percent('lapsed_held_out')}: "
        f"{_signed(kept, 'fewer', 'more')} (95 % interval, in fewer of 100: {low} to {high})"
    )
    gained, low, high = (f"{float(str(row[name])):,.2f}" for name in ("gained", "gained_low", "gained_high"))
    of_money = (
        f"A customer to be called spent {currency} {_signed(gained, 'more', 'less')} (in more: {low} to {high})."
        if gained != "nan"
        else ""
    )
    more = {
        effect.KEEPS: "Calls keep customers.",
        effect.LOSES: "Calls drive customers away.",
        effect.SAME: "No difference to tell: an effect as large as the prices hope for would have been seen.",
        effect.TOO_FEW: "Too few to say.",
    }[verdict]
    power = ""
    if verdict == effect.TOO_FEW and row["needed"] is not None:
        power = f" To see an effect as large as the prices hope for, some {row['needed']:,} have to be drawn."
    known = (
        "No record says who was called in truth, so who was to be called counts as called."
        if row["reached"] is None
        else f"By the record, {percent('reached', 0)} % of those to be called were called"
        + (
            f", and {percent('reached_held_out', 0)} % of those held out."
            if row["reached_held_out"] is not None
            else "."
        )
    )
    return f"{more} {figures} {of_lapses}. {of_money}{power} {known}".replace("  ", " ")


def _signed(amount: str, above: str, below: str) -> str:
    """Return an amount without its sign, and the word that says which way it goes."""
    return f"{amount.removeprefix('-')} {below if amount.startswith('-') else above}"
