"""The sentences of the anomalies: what was expected, what came, where and since when. Nothing is judged here.

`asset` is `schema/name`; `days` and `since` say when, as `Window.span` and `Window.since` do; `seen` holds the numbers.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from ml_models.monitoring.data_quality.observation import Observation, Segment
from ml_models.monitoring.data_quality.order_numbers import Numbers
from ml_models.monitoring.types import InputChange

ON_THE_WAY = "Rows are lost on the way."
"""What is said of a loss while nobody knows more; the source's own count may know better (`source_counts`)."""


def _first(values: Sequence[str], most: int) -> str:
    return f"{', '.join(values[:most])}{', …' if len(values) > most else ''}"


def _within(segment: Segment) -> str:
    return f"in {len(segment.values)} values of {segment.column} ({_first(segment.values, 5)})"


def _hours(hours: Sequence[int]) -> str:
    if len(hours) > 1 and hours[-1] - hours[0] + 1 == len(hours):
        return f"{hours[0]} to {hours[-1]}"
    return ", ".join(map(str, hours))


# --- rows ------------------------------------------------------------------------------------------------------------


def rows_received(asset: str, first: date, last: date, observed: float, expected: float) -> str:
    """Describe fewer or more rows than usual."""
    return f"{asset} received {observed:,.0f} rows from {first} to {last}, usually {expected:,.0f}."


def missing_days(asset: str, days: Sequence[tuple[date, float, float]], newest: bool, *, empty: bool) -> str:
    """Describe days (day, rows, usual rows) that lack rows, or, if they are the `newest`, did not come at all.

    Days in a row that are `empty` everywhere may have been closed, which only people know.
    """
    what = "has not received its newest days" if newest else "lacks rows"
    listed = ", ".join(f"{day} ({seen:,.0f} of {usual:,.0f})" for day, seen, usual in days)
    until = f" TO={days[-1][0]}" if len(days) > 1 else ""
    asked = f" Could nobody buy then? Say so: make closed DAY={days[0][0]}{until}." if empty else ""
    return f"{asset} {what}: {listed} rows as usual on these weekdays.{asked}"


def past_days(asset: str, first: date, last: date, now: float, was: float) -> str:
    """Describe days that hold other rows than when they came."""
    return (
        f"Days of {asset} that were delivered before changed: {first} to {last} hold {now:,.0f} rows, "
        f"{was:,.0f} when they came."
    )


def snapshot_rows(asset: str, seen: Observation, days: str) -> str:
    """Describe a table that is replaced as a whole and lost rows."""
    return f"{asset} holds {seen.observed:,.0f} rows {days}, {seen.expected:,.0f} before."


def group_rows(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe groups (orders) with fewer or more rows each."""
    what = "lost" if seen.observed / max(seen.expected, 1e-9) < 1 else "gained"
    return (
        f"Groups of {asset} ({column}) {what} rows: {seen.observed:.1f} rows each {days}, usually {seen.expected:.1f}."
    )


def segment_group_rows(asset: str, segment: Segment, seen: Observation, days: str) -> str:
    """Describe groups with fewer rows each in some segments."""
    return f"Groups of {asset} hold {seen.observed:.1f} rows {_within(segment)} {days}, usually {seen.expected:.1f}."


def lines_lost(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe orders that hold fewer rows each, everywhere."""
    share = 1 - seen.observed / seen.expected
    return (
        f"Groups of {asset} ({column}) lost {share:.0%} of their rows: {seen.observed:.2f} rows each {days}, usually "
        f"{seen.expected:.2f} at this time of the month, and evenly everywhere."
    )


def mostly_missing(column: str, value: str, of_missing: float, of_own: float) -> str:
    """Return of which value most of the missing rows are, and how many of its own it lost."""
    return (
        f"{of_missing:.0%} of the missing rows are those with {column} = {value}, which lost {of_own:.0%} of its own."
    )


def orders_lost(
    asset: str, seen: Observation, days: str, times: float, where: Sequence[str], numbers: Numbers | None
) -> str:
    """Describe fewer rows, `times` the series' own noise, unevenly along `where`; `numbers`: of orders, if known."""
    along = f"unevenly along {' and '.join(where)}" if where else "everywhere alike"
    if numbers is not None:
        why = (
            f"{numbers.missing:,} of {numbers.between:,} order numbers are missing between its first and its last one, "
            f"usually {numbers.usual:.1%}"
        )
    else:
        why = "no customers or categories explain it"
    return (
        f"{asset} received {seen.observed:,.0f} rows {days}, usually {seen.expected:,.0f} at this time of the month: "
        f"{times:.1f} times its own noise at once, {along}, and {why}. {ON_THE_WAY}"
    )


def silent_segments(asset: str, segment: Segment, first: date, last: date, mass: float) -> str:
    """Describe segments without rows; `mass` is their usual share of the rows."""
    return (
        f"{len(segment.values)} values of {segment.column} in {asset} fell silent at once from {first} to {last} "
        f"({_first(segment.values, 5)}), usually {mass:.0%} of the rows; the others go on."
    )


def uneven_segments(asset: str, segment: Segment, start: date, rate: float) -> str:
    """Describe segments that lost the share `rate` of their rows."""
    return (
        f"{len(segment.values)} values of {segment.column} in {asset} ({_first(segment.values, 5)}) "
        f"lost {rate:.0%} of their rows in the week from {start} while the others go on."
    )


def parts_lost(asset: str, segment: Segment, days: str, rate: float) -> str:
    """Describe segments that lost the same share `rate` of their orders, whoever made them."""
    return (
        f"{len(segment.values)} values of {segment.column} in {asset} ({_first(segment.values, 5)}) lost some "
        f"{rate:.0%} of their orders at once {days}, all alike and whichever customers made them, while the others "
        f"go on. {ON_THE_WAY}"
    )


def stale(asset: str, newest: date | None, age: int, cutoff: date, allowed: int) -> str:
    """Describe a table whose newest day is `age` days too old."""
    return (
        f"{asset} has nothing newer than {newest}: {age} days are missing on the morning of {cutoff}, "
        f"and no more than {allowed} are to be expected."
    )


# --- values of a column ----------------------------------------------------------------------------------------------


def nulls(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe more or fewer nulls."""
    return f"{seen.observed:.1%} of {asset}.{column} is null {days}, usually {seen.expected:.1%}."


def segment_nulls(asset: str, column: str, segment: Segment, seen: Observation, days: str) -> str:
    """Describe more or fewer nulls in some segments."""
    return f"{seen.observed:.0%} of {asset}.{column} is null {_within(segment)} {days}, usually {seen.expected:.1%}."


def orphans(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe identifiers without a partner."""
    return (
        f"{seen.observed:.2%} of {asset}.{column} have no partner in the table they refer to "
        f"{days}, usually {seen.expected:.2%}."
    )


def stuck(asset: str, column: str, value: str, seen: Observation, days: str) -> str:
    """Describe one value that holds more of the rows than any did."""
    return (
        f"{seen.observed:.1%} of {asset}.{column} is {value} {days}; the most frequent value usually holds "
        f"{seen.expected:.1%}."
    )


def segment_stuck(asset: str, column: str, value: str, segment: Segment, seen: Observation, days: str) -> str:
    """Describe one value that holds most rows of some segments."""
    return f"{seen.observed:.0%} of {asset}.{column} is {value} {_within(segment)} {days}, usually {seen.expected:.0%}."


def fewer_values(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe fewer different values."""
    return f"{asset}.{column} has {seen.observed:.0f} different values {days}, usually {seen.expected:.0f}."


def share_is(asset: str, column: str, what: str, seen: Observation, days: str) -> str:
    """Describe a share of values that are negative, zero or not whole."""
    return f"{seen.observed:.1%} of {asset}.{column} is {what} {days}, usually {seen.expected:.1%}."


def segment_negative(asset: str, column: str, segment: Segment, seen: Observation, days: str) -> str:
    """Describe negative values in some segments."""
    return (
        f"{seen.observed:.0%} of {asset}.{column} is negative {_within(segment)} {days}, usually {seen.expected:.1%}."
    )


def sizes(asset: str, column: str, measures: Mapping[str, Observation], days: str) -> str:
    """Describe a number that left its range, by at most three measures."""
    listed = "; ".join(
        f"{name} {seen.observed:,.4g}, usually {seen.expected:,.4g}" for name, seen in list(measures.items())[:3]
    )
    return f"{asset}.{column} left its range {days}: {listed}."


def segment_size(
    asset: str, column: str, segment: Segment, factor: float, measure: str, seen: Observation, days: str
) -> str:
    """Describe a number that is `factor` times as large in some segments."""
    return (
        f"{asset}.{column} is {factor:g} times as large {_within(segment)} {days}, against the "
        f"other values of {segment.column} ({measure} {seen.observed:,.4g}, usually {seen.expected:,.4g})."
    )


def unit_prices(asset: str, column: str, item: str, segment: Segment, factor: float, days: str) -> str:
    """Describe unit prices that are `factor` times as high in some segments as those of the same items elsewhere."""
    return (
        f"{asset}.{column} is {factor:g} times as large {_within(segment)} {days} for the same {item} and quantity, "
        f"against the other values of {segment.column} and their own past."
    )


# --- keys, identities, copies ----------------------------------------------------------------------------------------


def null_keys(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe rows without a key."""
    return f"{seen.observed:.1%} of the rows of {asset} have no key ({column}) {days}, usually {seen.expected:.1%}."


def repeated_keys(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe rows whose key is there already."""
    return f"{seen.observed:.1%} of the rows of {asset} repeat a key ({column}) {days}, usually {seen.expected:.1%}."


def repeated_rows(asset: str, _column: str, seen: Observation, days: str) -> str:
    """Describe rows of a table without a key that are there already."""
    return f"{seen.observed:.1%} of the rows of {asset} equal another row {days}, usually {seen.expected:.1%}."


def repeated_content(asset: str, group: str, seen: Observation, days: str) -> str:
    """Describe rows that equal another one but for their key."""
    return (
        f"{seen.observed:.1%} of the rows of {asset} equal another row in all but the key {group} {days}, "
        f"usually {seen.expected:.1%}."
    )


def replayed(asset: str, group: str, lag: int, seen: Observation, days: str) -> str:
    """Describe groups whose content stood under another key `lag` days before (0: on the same day)."""
    return (
        f"{seen.observed:.0%} of the {group}s of {asset} {days} repeat the content of others"
        f"{f', {lag} days older' if lag else ' of the same day'}, under new keys; usually {seen.expected:.1%}."
    )


def new_identifiers(asset: str, column: str, seen: Observation, days: str) -> str:
    """Describe identifiers not seen before in the place of known ones; `seen` is the share of known ones."""
    return (
        f"{1 - seen.observed:.0%} of the rows of {asset} {days} have a {column} not seen before "
        f"(usually {1 - seen.expected:.0%}), and known ones are gone: identifiers changed."
    )


def second_identifiers(asset: str, column: str, seen: Observation, visits: float, days: str) -> str:
    """Describe new identifiers that bring no visits: known ones lack what they make."""
    return (
        f"{seen.observed:,.0f} {column}s of {asset} were never seen before {days}, usually {seen.expected:,.0f}, and "
        f"known ones lack as many visits as these make ({visits:,.0f}): customers have second identifiers beside their "
        "first."
    )


def mixed_identifiers(asset: str, column: str, other: str, merged: bool, seen: Observation, days: str) -> str:
    """Describe pairs of identifiers not seen before; `seen` is the share of known pairs."""
    what = (
        "some are gone, others act where they never did: identifiers were merged"
        if merged
        else "they act where they never did: identifiers were mixed up"
    )
    return (
        f"{1 - seen.observed:.0%} of the rows of {asset} {days} pair a {column} with a {other} it was never seen with "
        f"(usually {1 - seen.expected:.0%}); {what}."
    )


def vanished(asset: str, column: str, gone: float, lost: float, days: str) -> str:
    """Describe the share `gone` of the steady identifiers is missing, with the share `lost` of the rows."""
    return (
        f"{gone:.0%} of those {column}s of {asset} that come every week are gone at once {days}, with {lost:.0%} of "
        "the rows; the others go on as before: a part of the feed is missing."
    )


# --- hours -----------------------------------------------------------------------------------------------------------


def shifted(asset: str, shift: int, since: date, seen: Observation) -> str:
    """Describe times that moved by whole hours."""
    return (
        f"Times of {asset} moved by {shift:+d} hours from {since} on (distance of the hour histograms "
        f"{seen.observed:.2f}, usually {seen.expected:.2f})."
    )


def segment_shifted(asset: str, segment: Segment, hours: int, days: str) -> str:
    """Describe times that moved in some segments."""
    return (
        f"Times of {asset} moved by {hours:+d} hours on average {_within(segment)} {days}, "
        f"against the other values of {segment.column}."
    )


def hour_lost(asset: str, share: float, hour: int, usual: float) -> str:
    """Describe times without their hour: the share `share` of the rows is in one hour."""
    return f"Times of {asset} lost their hour: {share:.0%} of the rows are at {hour}:00, usually {usual:.0%}."


def hours_cut(asset: str, hours: Sequence[int], since: date, share: float) -> str:
    """Describe hours without rows in all of the week; `share` is their usual share."""
    return (
        f"{asset} has no rows in hours {_hours(hours)} from {since} on, which usually hold {share:.0%}: files are cut."
    )


def hours_moved(asset: str, seen: Observation) -> str:
    """Describe another histogram of the hour of the day."""
    return (
        f"The hours of {asset} moved (distance of the histograms {seen.observed:.2f}, usually "
        f"{seen.expected:.2f}), by no whole shift."
    )


def hours_silent(asset: str, day: date, hours: Sequence[int], share: float) -> str:
    """Describe hours of one day without a row; `share` is their usual share of the day."""
    return f"{asset} has no row on {day} in hours {_hours(hours)}, which usually hold {share:.0%} of the day."


# --- categories ------------------------------------------------------------------------------------------------------


def values_new(asset: str, column: str, new: Sequence[str], gone: Sequence[str], rate: float, days: str) -> str:
    """Describe values never seen before in the share `rate` of the rows, and usual ones that are gone."""
    left = f"; {len(gone)} usual values are gone ({_first(gone, 3)})." if gone else "."
    return (
        f"{asset}.{column} has {len(new)} values never seen before ({_first(new, 3)}) in {rate:.1%} of the rows "
        f"{days}{left}"
    )


def values_lost(asset: str, column: str, gone: Sequence[str], rate: float, days: str) -> str:
    """Describe usual values that are gone."""
    return f"Usual values of {asset}.{column} are gone {days}: {_first(gone, 3)}, usually {rate:.1%} of the rows."


def values_replaced(lost: str, replacement: str, share: float, usual: float) -> str:
    """Describe, after the sentence of `values_lost`, which value took their rows."""
    return f"{lost[:-1]}; {replacement} took their rows ({share:.1%}, usually {usual:.1%})."


def values_moved(asset: str, column: str, seen: Observation, top: tuple[str, float, float], days: str) -> str:
    """Describe other shares of the usual values; `top` is the value that moved most, its share and its usual share."""
    label, share, usual = top
    return (
        f"The values of {asset}.{column} moved {days} ({seen.observed:.1%} of the rows changed value, usually "
        f"{seen.expected:.1%}); most: {label}, {share:.1%}, usually {usual:.1%}."
    )


# --- columns ---------------------------------------------------------------------------------------------------------


def retyped(asset: str, column: str, now: str, was: str) -> str:
    """Describe a column of another kind of type."""
    return f"{asset}.{column} has the type {now}, and had {was}; what reads it will fail or misread it."


def column_gone(asset: str, column: str, was: str, new_name: str = "") -> str:
    """Describe a column that is gone, and the one that may be its new name ("": none)."""
    hint = f"; {new_name} is new and may be its new name" if new_name else ""
    return f"{asset} has no column {column} any more ({was}){hint}."


# --- feature rows and outcomes ---------------------------------------------------------------------------------------


def feature_share(asset: str, name: str, what: str, seen: Observation, cutoff: date, segment: Segment) -> str:
    """Describe a share of feature rows that are null or one value, in all rows or in one band."""
    where = f" in band {segment.values[0]} of {segment.column}" if segment.values else ""
    return f"{seen.observed:.1%} of {asset}.{name} {what} at {cutoff}{where}, usually {seen.expected:.1%}."


def feature_range(asset: str, name: str, rows: int, cutoff: date, low: float | None, high: float | None) -> str:
    """Describe feature values that their definition does not allow."""
    return f"{rows} rows of {asset}.{name} at {cutoff} lie outside of {low} to {high}, which its definition allows."


def young_outcomes(asset: str, rows: int, first: date, last: date, horizon_days: int, cutoff: date) -> str:
    """Describe outcomes that cannot be known yet."""
    return (
        f"{rows} outcomes of {asset} exist for cutoffs {first} to {last}, which "
        f"are known only {horizon_days} days later, after {cutoff}."
    )


def wrong_outcomes(asset: str, rows: int, first: date, last: date, why: str) -> str:
    """Describe outcomes that contradict the orders."""
    return f"{rows} outcomes of {asset} from {first} to {last} are wrong: {why}."


def closed_early(asset: str, label: str, away: int, days: Sequence[date], usual: float) -> str:
    """Describe labels by which nobody who stayed away came back, as the share `usual` (nan: unknown) does."""
    return (
        f"None of {away} who stayed away for the first days came back at {len(days)} cutoffs ({days[0]} to {days[-1]})"
        f"{f', usually {usual:.0%} do' if usual == usual else ''}: {asset}.{label} was closed before its horizon ended."
    )


def rows_alone(asset: str, rows: int, first: date, last: date) -> str:
    """Describe feature rows that only one of two builds has."""
    return (
        f"{rows} rows of {asset} from {first} to {last} exist only when days after the cutoff are read, or only when "
        "they are not: who is eligible depends on later rows."
    )


def future(asset: str, features: Sequence[str], first: date, last: date, share: float) -> str:
    """Describe features that depend on days after their cutoff; `share` is that of the first one's rows."""
    return (
        f"{len(features)} features of {asset} from {first} to {last} come out otherwise when days after the cutoff are "
        f"read ({_first(features, 4)}; {share:.1%} of the rows): they know the future."
    )


def restated(customers: int, rows: int, features: Sequence[str], first: date, last: date) -> str:
    """Describe served rows that today's inputs would give otherwise."""
    when = f"on {first}" if first == last else f"from {first} to {last}"
    what = f" in {len(features)} features ({_first(features, 4)})" if features else ": they came or went as a whole"
    return f"Of the {rows:,} rows served {when}, {customers:,} would come out otherwise today{what}."


def input_changed(change: InputChange) -> str:
    """Describe a raw table that holds other rows than when a week was served."""
    if change.part_of == "day":
        days = f"{change.first_day}" if change.parts == 1 else f"{change.first_day} to {change.last_day}"
        return f"Since then {change.parts} day(s) of {change.asset} changed ({days})."
    if change.part_of == "key":
        more = ", …" if change.parts > len(change.examples) else ""
        return f"Since then {change.parts:,} row(s) of {change.asset} changed ({', '.join(change.examples)}{more})."
    return f"Since then {change.asset} changed."


NO_INPUT = "No raw table is known to have changed since: the features' SQL did, or it was before changes were noted."


# --- the verdict -----------------------------------------------------------------------------------------------------


def too_little(cutoff: date, weeks: int) -> str:
    """Describe a verdict without evidence."""
    return (
        f"Quality at {cutoff} cannot be judged yet: no table was measured in the week before and in at least "
        f"{weeks} weeks before that."
    )


def faults(cutoff: date, anomalies: int, kinds: Sequence[str], first: str) -> str:
    """Describe what fails, as `asset: kind`, and the sentence of the most severe anomaly."""
    return f"{anomalies} faults in what arrived before {cutoff} ({', '.join(kinds)}). First: {first}"


def clean(cutoff: date, tables: int, measures: int) -> str:
    """Describe a verdict without an anomaly."""
    return f"What arrived before {cutoff} is sound: {tables} tables, {measures} measures within their own past."


def lost_by_the_load(asset: str, said: int, came: int, syncs: int) -> str:
    """Return that the source sent more than arrived."""
    return (
        f"In {_syncs(syncs)} the source counts {said:,} records for {asset}, and {came:,} arrived: {said - came:,} "
        "were lost by the load, not by the source."
    )


def sent_fewer(asset: str, said: int, came: int, syncs: int) -> str:
    """Return that all arrived that the source sent."""
    return (
        f"In {_syncs(syncs)} all {came:,} of the {said:,} records arrived that the source counts for {asset}: it is "
        "the source that sent fewer, not the load that lost them."
    )


def _syncs(number: int) -> str:
    return "one sync" if number == 1 else f"{number} syncs"
