"""What was paid: the column of amounts, whether it is for a piece or the row, returns and the currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.company.proposal.columns import ColumnLook
from resources.company.proposal.roles import best, named, ranked, words
from resources.company.proposal.sources import FromError

if TYPE_CHECKING:
    from resources.company.proposal.sources import Landed

GROWS = 0.3
"""By which power of the quantity an amount must grow, to be for the row in all: 1 would be in proportion."""

PAIRS = 20
"""Products that must be bought in several quantities, for their amounts to say so."""

RETURNS = ("returned", "refunded", "return", "refund", "retoure", "rueckgabe")


@dataclass
class Money:
    """How a company's file speaks of money. `returned_value`: the text of the column `returned` that means a return."""

    amount_is: str = "row"
    currency: str = "USD"
    returns: str = "none"
    returned_value: str = ""

    def spend(self, roles: dict[str, ColumnLook]) -> str:
        """Return the expression of a row's amount."""
        reads, pieces = roles["amount"].amount, roles.get("quantity")
        assert reads is not None
        if self.amount_is == "unit" and pieces and pieces.amount:
            return f"({reads.sql}) * ({pieces.amount.sql})"
        return f"({reads.sql})"


def money_of(
    place: str,
    landed: "Landed",
    columns: Sequence[ColumnLook],
    roles: dict[str, ColumnLook],
    reasons: dict[str, str],
    notes: list[str],
) -> Money:
    """Find the amount and the quantity among columns without a role, and tell what they are.

    Raises:
        FromError: there is no amount, or there are several currencies.
    """
    out = Money()
    numbers = [one for one in columns if one.amount]
    counted = [one for one in numbers if one.amount and one.amount.whole and 0 < abs(one.amount.median) <= 100]
    quantity = best(counted, "quantity")
    found = _amounts([one for one in numbers if one is not quantity], counted)
    if not found:
        raise FromError(_no_amount(place, columns, numbers))
    amount = found[0][1]
    if quantity is None:
        # A small whole number called amount beside a price counts pieces.
        quantity = next((one for _, one in found[1:] if one in counted and "amount" in one.name.lower()), None)
    roles["amount"] = amount
    reads = amount.amount
    assert reads is not None
    reasons["amount"] = f"{reads.low:,.2f} to {reads.high:,.2f}, half above {reads.median:,.2f}"
    notes += reads.sentences
    if len(found) > 1 and found[1][0] == found[0][0]:
        notes.append(
            f"`{amount.name}` and `{found[1][1].name}` may both be the amount; the first is taken. Change `amount` "
            "under [order_lines] if it is the other."
        )
    if quantity is not None:
        roles["quantity"] = quantity
        reasons["quantity"] = ""
        out.amount_is = _per_piece(landed, amount, quantity, columns, reasons, notes)
    _returns(out, landed, columns, roles, reasons)
    _currency(out, place, landed, columns, roles, reasons)
    return out


def _amounts(money: Sequence[ColumnLook], counted: Sequence[ColumnLook]) -> list[tuple[float, ColumnLook]]:
    """Return the columns that may be the amount, best first; decimals and totals speak for it, small counts against."""
    extra = {one.name: 1.0 for one in money if one.amount and not one.amount.whole}
    for one in money:
        if {"total", "line", "net"} & set(words(one.name)):
            extra[one.name] = extra.get(one.name, 0) + 0.5
    # Small whole numbers are pieces, whatever they are called.
    extra |= {one.name: -1.5 for one in counted if one.amount and one.amount.median <= 3 and one.amount.low >= 0}
    return ranked(money, "amount", extra)


def _no_amount(place: str, columns: Sequence[ColumnLook], numbers: Sequence[ColumnLook]) -> str:
    near = [one for one in columns if named(one, "amount") > 0 and not one.amount]
    if near:
        return (
            f"{place}: `{near[0].name}` should be an amount by its name, and most of its {near[0].filled:,} rows are "
            f"no number, such as {near[0].example!r}. Name a table with amounts, or make the column one of numbers."
        )
    there = ", ".join(f"`{one.name}`" for one in numbers[:8]) or "there are none"
    return (
        f"{place} has no column of amounts: none of its numbers ({there}) is called amount, total, sales, price or the "
        "like. Rename the one that it is, in a view or in the file."
    )


def _per_piece(
    landed: "Landed",
    amount: ColumnLook,
    quantity: ColumnLook,
    columns: Sequence[ColumnLook],
    reasons: dict[str, str],
    notes: list[str],
) -> str:
    """Tell a price for one piece from one for the row: within a product, only that grows with the quantity."""
    product = best([one for one in columns if one not in (amount, quantity)], "product")
    reads, counts = amount.amount, quantity.amount
    assert reads is not None
    assert counts is not None
    pairs, growth = landed.one(
        f"with p as (select {product.sql if product else '1'} as product, abs(q) > 1 as many, median(abs(a)) as price, "
        f"median(abs(q)) as q from (select *, {reads.sql} as a, {counts.sql} as q from looked) where a <> 0 and q <> 0 "
        "group by 1, 2) select count(*), median(ln(b.price / a.price) / ln(b.q / a.q)) from p a join p b on a.product "
        "is not distinct from b.product and not a.many and b.many where b.q > a.q and a.price > 0"
    )
    if {"unit", "unitprice", "each", "piece"} & set(words(amount.name)) or "unitprice" in amount.name.lower():
        reasons["amount"] += "; for one piece by its name"
        return "unit"
    told = pairs >= (PAIRS if product else 1) and growth is not None
    if told and growth < GROWS and product and not reads.negative and "price" in words(amount.name):
        reasons["amount"] += f"; for one piece: it does not grow with `{quantity.name}`"
        return "unit"
    if told and growth >= GROWS:
        reasons["amount"] += f"; grows with `{quantity.name}`, so it is the row's"
    else:
        notes.append(f'`{amount.name}` is taken for the row in all; if it is for one piece, set amount_is = "unit".')
    return "row"


def _returns(
    out: Money,
    landed: "Landed",
    columns: Sequence[ColumnLook],
    roles: dict[str, ColumnLook],
    reasons: dict[str, str],
) -> None:
    """See how a return is told: by an amount below zero, or by a column."""
    below = landed.one(f"select count(*) from looked where {out.spend(roles)} < 0")[0]
    if below:
        out.returns = "negative"
        reasons["returns"] = f"{below:,} of {landed.rows:,} rows are below zero"
        return
    for one in columns:
        if one in roles.values() or one.time or not one.filled:
            continue
        values = (
            {str(value).strip().lower(): rows for value, rows in _values(landed, one)} if one.distinct <= 20 else {}
        )
        said = [value for value in values if value in RETURNS]
        if one.boolean and {"return", "returned", "refund", "refunded"} & set(words(one.name)):
            roles["returned"], reasons["returned"] = one, "yes means a return"
        elif len(said) == 1 and len(values) > 1:
            roles["returned"], out.returned_value = one, said[0]
            reasons["returned"] = f"{values[said[0]]:,} rows"
        else:
            continue
        out.returns = "column"
        reasons["returns"] = f"`{one.name}` says it"
        return


def _values(landed: "Landed", column: ColumnLook) -> list[tuple[object, int]]:
    return [(value, rows) for value, rows in landed.all(f"select {column.sql}, count(*) from looked group by 1")]


def _currency(
    out: Money,
    place: str,
    landed: "Landed",
    columns: Sequence[ColumnLook],
    roles: dict[str, ColumnLook],
    reasons: dict[str, str],
) -> None:
    """Find the currency; refuse several, whose amounts nobody can add.

    Raises:
        FromError: rows have amounts of several currencies.
    """
    reads, where = roles["amount"].amount, roles["amount"].name
    found = list(reads.currencies) if reads else []
    column = best([one for one in columns if one.distinct <= 50 and not one.number], "currency") if not found else None
    if column:
        where = column.name
        found = landed.all(
            f"select upper(trim({column.sql})), count(*) from looked where {column.sql} is not null group by 1 "
            "order by 2 desc"
        )
    if len(found) > 1:
        shown = ", ".join(f"{code} in {rows:,} rows" for code, rows in found[:6])
        raise FromError(
            f"{place}: `{where}` says {len(found)} currencies: {shown}. Amounts of several currencies cannot be added; "
            "convert them, or take the rows of one."
        )
    if found and len(found[0][0]) == 3 and found[0][0].isascii() and found[0][0].isalpha():
        out.currency = found[0][0]
        reasons["currency"] = f"as `{where}` says"
