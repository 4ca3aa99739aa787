"""Which text columns are numbers or amounts, and which sign stands before their decimals. Every row votes."""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from resources.company.proposal.fields import column_of
from resources.company.reading import number

if TYPE_CHECKING:
    from resources.company.proposal.sources import Landed

MOST = 0.95
"""Share of a column's filled rows that must be numbers, for it to be a column of numbers."""

SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "zł": "PLN", "R$": "BRL", "US$": "USD"}
CODES = re.findall(
    r"[A-Z]{3}",
    "USD EUR GBP JPY CNY INR CHF SEK NOK DKK PLN CZK HUF RON BGN TRY RUB UAH AUD NZD CAD MXN BRL ARS CLP COP PEN ZAR "
    "NGN KES EGP AED SAR ILS SGD HKD TWD KRW THB IDR MYR PHP VND PKR",
)
"""The currencies that a text may name."""

_CURRENCY = rf"(?:R\$|US\$|[$€£¥₹]|zł|kr\.?|Rs\.?|{'|'.join(CODES)})"
_NUMBER = (
    rf"\(?\s*[-+]?\s*{_CURRENCY}?\s*[-+]?\s*[0-9][0-9.,' \x{{00a0}}\x{{202f}}]*\s*{_CURRENCY}?\s*[-]?\s*\)?"
    r"|\(?[-+]?\.[0-9]+\)?"
)


@dataclass(frozen=True)
class NumberReading:
    """How a column is read as numbers, by `sql`. `format` is that of a company's file.

    `refused` rows are no number, `odd` ones are read and look like more than one. `negative`: rows below zero.
    `currencies`: the codes that texts name, with their rows.
    """

    sql: str
    low: float
    high: float
    median: float
    whole: bool
    negative: int
    zero: int = 0
    format: str = ""
    refused: int = 0
    example: str = ""
    odd: int = 0
    odd_example: str = ""
    currencies: tuple[tuple[str, int], ...] = ()
    sentences: tuple[str, ...] = ()


def number_of_type(landed: "Landed", column: str) -> NumberReading | None:
    """Return how a column that has a type of numbers is read; none where it holds no number."""
    return _measured(landed, f"cast({column} as double)", {})


def number_of_text(landed: "Landed", name: str, column: str, filled: int) -> NumberReading | None:
    """Return how a text column is read as numbers; none where most rows are none."""
    text = f"trim({column})"
    plain, fitting = landed.one(
        f"select count(*) filter (try_cast({text} as double) is not null), "
        f"count(*) filter (regexp_full_match({text}, '{_sql(_NUMBER)}') or try_cast({text} as double) is not null) "
        f"from looked where {column} is not null"
    )
    if fitting < MOST * filled:
        return None
    if plain == filled:
        return _measured(landed, number(column_of(name), "duckdb"), {})
    return _amounts(landed, name, column)


def _amounts(landed: "Landed", name: str, column: str) -> NumberReading | None:
    bare = f"regexp_replace(trim({column}), '[^0-9.,]', '', 'g')"
    # `kr.` and `Rs.` end in a point that is none of the number's.
    bare = f"trim({bare}, '.,')"
    row = landed.one(
        f"""select count(*) filter (regexp_matches(b, '[.].*,') and not regexp_matches(b, ',.*[.]')),
        count(*) filter (regexp_matches(b, ',.*[.]')),
        count(*) filter (b like '%,%' and b not like '%.%'),
        count(*) filter (b like '%,%' and b not like '%.%' and regexp_full_match(b, '[0-9]{{1,3}}(,[0-9]{{3}})+')),
        any_value(t) filter (b like '%,%'),
        count(*) filter (regexp_matches(t, '[0-9]\\s*[-]')), any_value(t) filter (regexp_matches(t, '[0-9]\\s*[-]')),
        count(*) filter (t like '(%)'), any_value(t) filter (t like '(%)')
        from (select trim({column}) as t, {bare} as b from looked where {column} is not null)"""
    )
    comma_last, point_last, commas, groups, example, trailing, minus, brackets, bracket = row
    sentences: list[str] = []
    decimal = _decimal(landed, name, column, commas_only=bool(commas > groups and not comma_last and not point_last))
    if decimal == ",":
        sentences.append(f"`{name}`: a comma stands before the decimals, as in {example!r}.")
    elif commas or point_last:
        sentences.append(f"`{name}`: commas part thousands, as in {example!r}.")
    if trailing:
        sentences.append(
            f"`{name}`: a minus behind the number, as in {minus!r}, is read as negative ({trailing:,} rows)."
        )
    if brackets:
        sentences.append(f"`{name}`: brackets, as in {bracket!r}, are read as negative ({brackets:,} rows).")
    sql = number(column_of(name, decimal), "duckdb")
    currencies = _currencies(landed, column)
    if currencies:
        shown = ", ".join(f"{code} in {rows:,}" for code, rows in currencies)
        sentences.append(f"`{name}`: its texts name a currency ({shown} rows); the name is taken away.")
    found = _measured(landed, sql, {"format": decimal, "currencies": currencies, "sentences": tuple(sentences)})
    if found is None:
        return None
    known = f"regexp_full_match(trim({column}), '{_sql(_NUMBER)}')"
    refused, example, odd, strange = landed.one(
        f"select count(*) filter (n is null), any_value(v) filter (n is null), count(*) filter (n is not null and not "
        f"known), any_value(v) filter (n is not null and not known) from (select {column} as v, {sql} as n, {known} as "
        f"known from looked where {column} is not null)"
    )
    return replace(found, refused=refused, example=example or "", odd=odd, odd_example=strange or "")


def _decimal(landed: "Landed", name: str, column: str, *, commas_only: bool) -> str:
    """Return the sign before decimals: the one with which fewer rows cannot be read, and among equals the likelier."""
    by_comma, by_point = landed.one(
        f"select count(*) filter ({number(column_of(name, ','), 'duckdb')} is null), "
        f"count(*) filter ({number(column_of(name, '.'), 'duckdb')} is null) from looked where {column} is not null"
    )
    if by_comma == by_point:
        return "," if commas_only else "."
    return "," if by_comma < by_point else "."


def _currencies(landed: "Landed", column: str) -> tuple[tuple[str, int], ...]:
    rows = landed.all(
        f"select regexp_extract({column}, '{_sql(_CURRENCY)}') as c, count(*) from looked where {column} is not null "
        "group by c having c <> '' order by 2 desc"
    )
    counted: dict[str, int] = {}
    for sign, count in rows:
        code = SIGNS.get(sign, sign if sign in CODES else "")
        if code:
            counted[code] = counted.get(code, 0) + count
    return tuple(counted.items())


def _measured(landed: "Landed", sql: str, rest: dict[str, object]) -> NumberReading | None:
    low, high, median, whole, negative, zero = landed.one(
        f"select min(n), max(n), median(n), bool_and(n = round(n)), count(*) filter (n < 0), count(*) filter (n = 0) "
        f"from (select {sql} as n from looked) where isfinite(n)"
    )
    if low is None:
        return None
    return NumberReading(sql, low, high, median, bool(whole), negative, zero, **rest)  # type: ignore[arg-type]


def _sql(pattern: str) -> str:
    return pattern.replace("'", "''")
