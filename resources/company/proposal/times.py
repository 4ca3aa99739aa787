"""Which columns are times, and how their texts are read. Every row votes: a layout that most rows have is proposed."""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resources.company.model import Column
from resources.company.proposal.fields import column_of
from resources.company.reading import has_offset, local_time
from resources.tables.times import local_time as typed_time
from resources.warehouse import quoted

if TYPE_CHECKING:
    from resources.company.proposal.sources import Landed

MOST = 0.95
"""Share of a column's filled rows that must be written in one way, for it to be a column of times."""

CLEAR = 2
"""How many times fewer steps back in time one reading must give than the other, to be taken for that."""

_TAIL = (
    r"(?P<sep>T|, | |)(?P<clock>9{1,2}:99(?P<s>:99(?P<f>\.9+)?)?)?(?P<half> ?[AaPp]\.?[Mm]\.?)?"
    r"(?P<zone> ?Z| ?UTC| ?GMT| ?[+-]99(?::?99)?)?"
)
_DATES = {
    "year": rf"9999(?P<d>[-/.])9{{1,2}}(?P=d)9{{1,2}}{_TAIL}",
    "parts": rf"9{{1,2}}(?P<d>[-/. ])9{{1,2}}(?P=d)(?P<y>9999|99){_TAIL}",
    "named": rf"9{{1,2}}(?P<d>[-/ ]?)(?P<name>[A-Za-z]{{3,9}})(?P=d)(?P<y>9999|99){_TAIL}",
    "english": rf"(?P<name>[A-Za-z]{{3,9}}) 9{{1,2}}, ?9999{_TAIL}",
    "digits": r"99999999",
    "long": r"99999999999999",
}

_MONTHS = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"


ZONE = "UTC"
"""The zone that is proposed: what the shops' is, no table says."""


@dataclass(frozen=True)
class TimeReading:
    """How a column is read as times: `column` as a company's file has it, and `sql`, the expression that reads it.

    `instant`: the texts name their offset. `hours`: it knows the time of day. `natural`: it is no number. `refused`:
    filled rows that it cannot read, `example` one of them.
    """

    column: Column
    sql: str
    instant: bool = False
    hours: bool = True
    natural: bool = True
    refused: int = 0
    example: str = ""
    sentences: tuple[str, ...] = ()


def time_of_type(name: str, kind: str) -> TimeReading | None:
    """Return how a column that has a type of times is read."""
    if not kind.startswith(("DATE", "TIMESTAMP")):
        return None
    column = column_of(name)
    return TimeReading(
        column, typed_time(column, kind, ZONE).replace(quoted(name.lower()), quoted(name)), "TIME ZONE" in kind,
        hours=kind != "DATE",
    )  # fmt: skip


def _read(name: str, format_: str = "", zone: str = "") -> TimeReading:
    """Return the reading of a text by a format, as staging reads it."""
    column = column_of(name, format_, zone)
    return TimeReading(column, local_time(column, ZONE, "duckdb"))


def _verified(landed: "Landed", reading: TimeReading) -> TimeReading:
    """Return the reading with the rows that it refuses."""
    column = quoted(reading.column.column)
    refused, example = landed.one(
        f"select coalesce(sum(n), 0), any_value({column}) from (select {column}, count(*) as n from looked where "
        f"{column} is not null group by 1) where {reading.sql} is null"
    )
    return replace(reading, refused=int(refused), example=str(example or ""))


def time_of_text(landed: "Landed", name: str, column: str, filled: int) -> TimeReading | None:
    """Return how a text column is read as times; none where most rows are written in no way that times are."""
    shapes = landed.all(
        f"select regexp_replace(trim({column}), '[0-9]', '9', 'g') as shape, count(*), any_value(trim({column})) "
        f"from looked where {column} is not null group by shape order by 2 desc limit 300"
    )
    # Times have few shapes; texts that are all different have many.
    layouts: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    for shape, rows, example in shapes:
        kind, layout = _layout(shape)
        if layout:
            layouts[kind].append((layout, rows, example))
    if not layouts:
        return None
    kind = max(layouts, key=lambda one: sum(rows for _, rows, _ in layouts[one]))
    rows = sum(rows for _, rows, _ in layouts[kind])
    if rows < MOST * filled:
        return None
    return _reading(landed, name, column, layouts[kind], filled)


def _layout(shape: str) -> tuple[str, str]:
    """Return the kind of date and the strptime codes of a shape; {a}, {b} may be days or months."""
    for kind, pattern in _DATES.items():
        found = re.fullmatch(pattern, shape)
        if not found:
            continue
        part = found.groupdict()
        if part.get("name") and not re.match(_MONTHS, part["name"].lower()):
            continue
        if part.get("sep") is not None and bool(part["sep"]) != bool(part["clock"]):
            continue
        d, year = part.get("d") or "", "%Y" if part.get("y") != "99" else "%y"
        month = "%b" if len(part.get("name") or "") <= 3 else "%B"
        dates = {
            "year": f"%Y{d}%m{d}%d",
            "parts": f"{{a}}{d}{{b}}{d}{{c}}" if year == "%y" else f"{{a}}{d}{{b}}{d}%Y",
            "named": f"%d{d}{month}{d}{year}",
            "english": f"{month} %d,{' ' if ', ' in shape else ''}%Y",
            "digits": "%Y%m%d",
            "long": "%Y%m%d%H%M%S",
        }
        return kind, dates[kind] + _tail_codes(part)
    return "", ""


def _tail_codes(part: dict[str, str | None]) -> str:
    if not part.get("clock"):
        return ""
    half = part.get("half") or ""
    codes = (part["sep"] or "") + ("%I" if half else "%H") + ":%M"
    codes += (":%S" if part.get("s") else "") + (".%f" if part.get("f") else "")
    codes += (" " if half.startswith(" ") else "") + ("%p" if half else "")
    zone = part.get("zone") or ""
    return (
        codes
        + (" " if zone.startswith(" ") else "")
        + (zone.strip() if zone.strip().isalpha() else "%z" if zone else "")
    )


def _reading(
    landed: "Landed", name: str, column: str, layouts: list[tuple[str, int, str]], filled: int
) -> TimeReading | None:
    by_format: dict[str, int] = defaultdict(int)
    for layout, rows, _ in layouts:
        by_format[layout] += rows
    common = max(by_format, key=lambda one: by_format[one])
    sentences: list[str] = []
    if "{a}" in common:
        common, reason = _order(landed, name, column, common, filled)
        sentences.append(reason)
    found = _verified(landed, _read(name, common, ZONE if re.search("(UTC|GMT)$", common) else ""))
    if common.startswith("%Y-%m-%d"):
        # One clock, more or less finely written: ISO 8601 has all of it, and needs no format.
        plain = _verified(landed, _read(name))
        found = plain if plain.refused <= found.refused else found
    if filled - found.refused < MOST * filled:
        return None
    codes = " ".join(by_format)
    if re.search("%z|Z |Z$|UTC|GMT", codes):
        found = replace(found, instant=True)
        sentences += _offsets(landed, name, column, filled)
    if "%y" in common:
        sentences.append(f"`{name}`: its years have two digits; they are read as {_years(landed, found.sql)}.")
    hours = "%H" in codes or "%I" in codes
    return replace(found, hours=hours, sentences=tuple(sentences), natural=not common.startswith("%Y%m%d"))


def _offsets(landed: "Landed", name: str, column: str, filled: int) -> list[str]:
    """Tell of texts that name several offsets from UTC, and of some that name none."""
    text = column_of(name)
    found = landed.all(
        f"select regexp_extract({column}, '(Z|UTC|GMT|[+-][0-9]{{2}}:?([0-9]{{2}})?)\\s*$', 1) as o, count(*) from "
        f"looked where {column} is not null and {has_offset(text, 'duckdb')} group by o order by 2 desc limit 6"
    )
    bare, example = landed.one(
        f"select count(*), any_value({column}) from looked where {column} is not null and not "
        f"{has_offset(text, 'duckdb')}"
    )
    shown = ", ".join(f"{offset} in {rows:,}" for offset, rows in found)
    told = []
    if len(found) > 1:
        told.append(f"`{name}`: several offsets ({shown} rows); each is an instant, and days are the shops' days.")
    if bare:
        told.append(
            f"`{name}`: {bare:,} of {filled:,} rows name no zone, such as {example!r}, and the others do ({shown}). "
            "Those are read by the shops' clock: write the zone that they were written in as `zone` of the column."
        )
    return told


def _years(landed: "Landed", sql: str) -> str:
    first, last = landed.one(f"select min(year({sql})), max(year({sql})) from looked")
    return f"{first}" if first == last else f"{first} to {last}"


def _order(landed: "Landed", name: str, column: str, layout: str, filled: int) -> tuple[str, str]:
    """Decide what the parts of dates are, by all rows: which orders can be read, then which runs forward in time."""
    orders = {"day first": ("%d", "%m", "%y"), "month first": ("%m", "%d", "%y")}
    if "{c}" in layout:
        orders["year first"] = ("%y", "%m", "%d")
    formats = {one: layout.format(a=a, b=b, c=c) for one, (a, b, c) in orders.items()}
    wrong: dict[str, int] = {}
    witness: dict[str, str] = {}
    for one, fmt in formats.items():
        bad = f"try_strptime(trim({column}), '{fmt}') is null and {column} is not null"
        wrong[one], witness[one] = landed.one(f"select count(*), min(trim({column})) from looked where {bad}")
    least = min(wrong.values())
    left = [one for one in formats if wrong[one] == least]
    if len(left) == 1 and least <= (1 - MOST) * filled:
        other = min((one for one in formats if one != left[0]), key=lambda one: wrong[one])
        said = (
            f"`{name}`: {left[0]}; {other} cannot read {wrong[other]:,} of {filled:,} rows, such as {witness[other]!r}."
        )
        if least:
            said += f" {least:,} rows contradict that, such as {witness[left[0]]!r}: they cannot be read."
        return formats[left[0]], said
    steps = {
        one: landed.one(
            f"select count(*) filter (moment < before) from (select moment, lag(moment) over (order by place) as "
            f"before from (select rowid as place, try_strptime(trim({column}), '{formats[one]}') as moment from "
            "looked))"
        )[0]
        for one in left
    }
    forward = sorted(left, key=lambda one: steps[one])
    first, second = forward[0], forward[1] if len(forward) > 1 else forward[0]
    if steps[first] * CLEAR < steps[second]:
        return formats[first], (
            f"`{name}`: every date can be read in {len(left)} ways; {first}, because time then runs back only "
            f"{steps[first]:,} times from row to row, and {steps[second]:,} times {second}."
        )
    dense = {one: _gaps(landed, column, formats[one]) for one in left}
    thick = sorted(left, key=lambda one: dense[one])
    if dense[thick[0]] * CLEAR < dense[thick[1]]:
        return formats[thick[0]], (
            f"`{name}`: every date can be read in {len(left)} ways; {thick[0]}, because the days then lie within "
            f"{dense[thick[0]]:,} days, and within {dense[thick[1]]:,} {thick[1]}."
        )
    return formats[left[0]], (
        f"`{name}`: every date can be read in {len(left)} ways, such as {_example(landed, column)!r}, and nothing "
        "decides: "
        f"{left[0]} is taken. Change `format` if it is {' or '.join(left[1:])}."
    )


def _gaps(landed: "Landed", column: str, fmt: str) -> int:
    at = f"try_strptime(trim({column}), '{fmt}')"
    return int(landed.one(f"select coalesce(date_diff('day', min({at}), max({at})), 0) + 1 from looked")[0])


def _example(landed: "Landed", column: str) -> str:
    return str(landed.one(f"select any_value(trim({column})) from looked where {column} is not null")[0])


YEARS = (631_152_000, 2_208_988_800)
"""Seconds from 1970 to 1990 and to 2040: numbers between them may count seconds."""

EXCEL = (32_874, 51_136)
"""Days from 1899-12-30 to 1990 and to 2040: numbers between them may be Excel's days."""


def time_of_number(landed: "Landed", name: str, bounds: tuple[float, float], whole: bool) -> TimeReading | None:
    """Return how numbers may be read as times: seconds or milliseconds since 1970, days of Excel, yyyymmdd."""
    low, high = bounds
    if whole and low >= 19_900_101 and high <= 20_391_231:
        found = _verified(landed, _read(name, "%Y%m%d"))
        return replace(found, hours=False, natural=False) if not found.refused else None
    clocks = (("epoch", YEARS), ("epoch_ms", (YEARS[0] * 1e3, YEARS[1] * 1e3)), ("excel", EXCEL))
    for format_, (first, last) in clocks:
        if first <= low and high <= last:
            found = _verified(landed, _read(name, format_))
            instant = format_ != "excel"
            return replace(found, instant=instant, hours=instant or not whole, natural=False)
    return None


def only_dates(landed: "Landed", reading: TimeReading) -> TimeReading:
    """Return the reading without hours where every one of them is midnight."""
    if not reading.hours:
        return reading
    column = quoted(reading.column.column)
    moments = f"(select distinct {column} from looked where {column} is not null)"
    other = landed.one(f"select count(*) from {moments} where {reading.sql} <> date_trunc('day', {reading.sql})")[0]
    return reading if other else replace(reading, hours=False)
