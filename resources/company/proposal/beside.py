"""What stands beside the orders: tables that list products or customers, the levels of products, departments."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.company.proposal.columns import ColumnLook
from resources.company.proposal.fields import column_of
from resources.company.proposal.roles import best, named
from resources.company.reading import key, label

if TYPE_CHECKING:
    from resources.company.proposal.sources import Landed

KNOWN = 0.5
"""Share of the products, or customers, of orders that a table must list."""

MANY = 200
"""Values beyond which a level is no department."""

LARGEST = 4
"""Departments whose share of the spend becomes a feature."""

ATTRIBUTES = 7
FEW = 20
"""Values up to which a column of customers is an attribute, by which they are put in groups."""

LEVELS = ("department", "category", "product_type")


@dataclass(frozen=True)
class Beside:
    """A table that lists what orders name: its key and its other columns.

    `share`: how much of what orders name it holds. `unique`: each row has a key of its own.
    """

    landed: "Landed"
    key: str
    columns: list[ColumnLook]
    share: float
    unique: bool

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns that put customers in groups; a key or a time is none."""
        return tuple(one.name for one in self.columns if 1 < one.distinct <= FEW and not one.time and one.filled)[
            :ATTRIBUTES
        ]


def beside(
    landed: "Landed", column: ColumnLook, other: "Landed", columns: Sequence[ColumnLook], role: str
) -> Beside | None:
    """Return the other table as a list of what `column` of the orders names; none where it is not."""
    wanted = _keys(landed, column)
    # A column of the same name or the same role before others: numbers from 1 on are in every table.
    likely = [one for one in columns if one.name.lower() == column.name.lower() or named(one, role) > 0 or _is_id(one)]
    found: list[tuple[float, ColumnLook]] = []
    for one in likely:
        if one.distinct < 0.98 * other.rows:
            continue
        share = len(wanted & _keys(other, one)) / max(1, len(wanted))
        same = one.name.lower() == column.name.lower() or named(one, role) > 0
        if share >= KNOWN and (same or named_table(other, role)):
            found.append((share, one))
    if not found:
        return None
    share, chosen = max(found, key=lambda pair: pair[0])
    unique = chosen.distinct == other.rows
    return Beside(other, chosen.name, [one for one in columns if one is not chosen and one.filled], share, unique)


def named_table(landed: "Landed", role: str) -> bool:
    """Tell whether a table is called after what it lists, such as products or customers."""
    return role in landed.source.name or (
        role == "product" and re.search("item|article|sku", landed.source.name) is not None
    )


def _is_id(column: ColumnLook) -> bool:
    return column.name.lower() in ("id", "key", "code", "number", "nr")


def _keys(landed: "Landed", column: ColumnLook) -> set[str]:
    read = key(column_of(column.name), "duckdb")
    return {one for (one,) in landed.all(f"select distinct {read} from looked where {column.sql} is not null")}


def levels_of(columns: Sequence[ColumnLook]) -> dict[str, ColumnLook]:
    """Return the levels of products among columns: the coarsest is the department, unless it has too many values."""
    held: list[ColumnLook] = []
    for level in LEVELS:
        found = best([one for one in columns if one not in held and one.distinct > 1 and not one.time], level)
        if found is not None:
            held.append(found)
    held.sort(key=lambda one: one.distinct)
    first = int(bool(held) and held[0].distinct > MANY)
    return dict(zip(LEVELS[first:], held, strict=False))


def departments_of(
    landed: "Landed", products: Beside | None, product: ColumnLook | None, level: ColumnLook, spend: str
) -> list[tuple[str, str, float]]:
    """Return the largest departments: their names as features have them, their values and their share of the spend."""
    value = label(column_of(level.name), "duckdb")
    if products is None:
        rows = landed.all(f"select {value} as v, sum({spend}) from looked where {spend} > 0 group by 1")
        by_value = {str(one): float(spent) for one, spent in rows if one is not None}
        total = sum(float(spent) for _, spent in rows)
    else:
        assert product is not None
        read = key(column_of(product.name), "duckdb")
        spent_on = dict(landed.all(f"select {read} as p, sum({spend}) from looked where {spend} > 0 group by 1"))
        theirs = key(column_of(products.key), "duckdb")
        by_value, total = {}, float(sum(spent_on.values()))
        for number, one in products.landed.all(f"select {theirs} as p, max({value}) from looked group by 1"):
            if one is not None:
                by_value[one] = by_value.get(one, 0.0) + float(spent_on.get(number, 0.0))
    largest = sorted(by_value, key=lambda one: (-by_value[one], one))[:LARGEST]
    names: list[str] = []
    for place, one in enumerate(largest, start=1):
        name = feature_name(one)
        names.append(name if name and name not in names else f"department_{place}")
    return [(name, one, by_value[one] / total) for name, one in zip(names, largest, strict=True) if by_value[one] > 0]


def feature_name(text: str) -> str:
    """Return a department's name as a feature's begins: small letters, digits and `_`; "" where none is left.

    >>> feature_name("Früchte & Gemüse"), feature_name("24H FOOD")
    ('fruchte_gemuse', 'd_24h_food')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    # Names of columns may not be longer than this in every engine, with what stands behind it.
    name = name[:30].rstrip("_")
    return f"d_{name}" if name[:1].isdigit() else name
