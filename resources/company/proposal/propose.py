"""From the columns of tables to a company's file: each role with its reason, and what the data cannot carry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from resources.company import reading
from resources.company.model import Column
from resources.company.proposal.beside import Beside, beside, departments_of, levels_of
from resources.company.proposal.columns import ColumnLook, columns_of
from resources.company.proposal.fields import column_of
from resources.company.proposal.money import Money, money_of
from resources.company.proposal.rhythm import Rhythm, needed_days, rhythm
from resources.company.proposal.roles import best, named, ranked
from resources.company.proposal.sources import FromError, Landed, Say

Ask = Callable[[str, Sequence[str]], str]
"""Asks which of several is meant; answers with one of them."""

NEAR = 0.5
"""How much less two columns' names may say for a role, for a person to be asked."""

SINGLE = 1.1
"""Rows of one customer and moment, on average, up to which a row without a product is an order."""


@dataclass
class Proposal:
    """What a company's file will say: by role the column and the reason; `notes` say what to heed."""

    title: str
    landed: Landed
    today: date
    roles: dict[str, ColumnLook] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    grain: str = "line"
    money: Money = field(default_factory=Money)
    keys: tuple[str, ...] = ()
    arrived: str = ""
    levels: dict[str, ColumnLook] = field(default_factory=dict)
    departments: list[tuple[str, str, float]] = field(default_factory=list)
    products: Beside | None = None
    customers: Beside | None = None
    rhythm: Rhythm | None = None

    @property
    def place(self) -> str:
        """How sentences call the table of orders."""
        return self.landed.source.place

    def column(self, role: str) -> Column:
        """Return the column of a role as the company's file has it."""
        look = self.roles[role]
        if role == "time" and look.time:
            return look.time.column
        if role in ("amount", "quantity", "discount", "coupon") and look.number:
            return column_of(look.name, look.number.format)
        if role == "returned" and self.money.returned_value:
            return column_of(look.name, self.money.returned_value)
        return column_of(look.name)

    def free(self, columns: Sequence[ColumnLook]) -> list[ColumnLook]:
        """Return the columns that have no role yet."""
        taken = {one.name for one in self.roles.values()}
        return [one for one in columns if one.name not in taken and one.filled]


def propose(
    tables: Sequence[Landed], name: str, *, today: date, ask: Ask | None = None, say: Say = lambda _: None
) -> Proposal:
    """Look at all rows and propose a company's file.

    Args:
        tables: the rows of each table; of several, one holds the orders, others may list products and customers.
        name: the company's.
        today: orders after it lie in the future.
        ask: asked where two columns may be the same; none: the better one is taken and told.
        say: told about progress.

    Raises:
        FromError: there is no time, no customer or no amount, or too little of anything; the sentence says which.
    """
    say("looking at every column")
    looks = [(one, columns_of(one)) for one in tables]
    landed, columns = _orders(looks)
    out = Proposal(name.replace("_", " ").strip().capitalize(), landed, today, notes=list(landed.notes))
    for one in columns:
        if not one.filled:
            out.notes.append(f"`{one.name}` is null in all {landed.rows:,} rows; nothing can be read from it.")
    out.roles["time"] = _time(out, out.free(columns), ask)
    out.roles["customer"] = _customer(out, out.free(columns), ask)
    _order(out, out.free(columns))
    out.money = money_of(out.place, landed, out.free(columns), out.roles, out.reasons, out.notes)
    _optional(out, columns)
    _grain(out)
    _beside(out, [pair for pair in looks if pair[0] is not landed], columns)
    _refused(out)
    say("measuring the rhythm of the customers")
    _visits(out)
    out.keys = _keys(out)
    return out


def _orders(looks: list[tuple[Landed, list[ColumnLook]]]) -> tuple[Landed, list[ColumnLook]]:
    """Return the table of orders: the largest that has customers, times and amounts."""
    if len(looks) == 1:
        return looks[0]
    lacks: dict[str, list[str]] = {}
    fitting = []
    for landed, columns in looks:
        filled = [one for one in columns if one.filled]
        has = {
            "times": any(one.time for one in filled),
            "customers": bool(ranked(filled, "customer")),
            "amounts": bool(ranked([one for one in filled if one.amount], "amount")),
        }
        lacks[landed.source.place] = [what for what, there in has.items() if not there]
        if all(has.values()):
            fitting.append((landed, columns))
    if not fitting:
        shown = "; ".join(f"{place} has no column of {' and of '.join(what)}" for place, what in lacks.items())
        raise FromError(
            f"Expected one table with customers, times and amounts. {shown or 'There is no row in any'}. Join what "
            "belongs together into one table, by a view or a query, and name that."
        )
    # A list of customers may have a date and a total, too: it has one row each.
    return max(fitting, key=lambda pair: pair[0].rows)


def _time(out: Proposal, columns: list[ColumnLook], ask: Ask | None) -> ColumnLook:
    times = [one for one in columns if one.time]
    # A number is a time only where its name says so, or where there is no other.
    sure = [one for one in times if one.time and (one.time.natural or named(one, "time") > 0)] or times
    if not sure:
        shown = ", ".join(f"`{one.name}` ({one.example!r})" for one in columns[:8])
        raise FromError(
            f"{out.place} has no column of times: none of {shown} is a date in most rows. Name a table that says when "
            "each order was made."
        )
    scored = sorted(
        ((named(one, "time") + (one.time.hours if one.time else 0) / 2, one) for one in sure),
        key=lambda pair: (-pair[0], pair[1].nulls),
    )
    chosen = _one_of(out, "time", "when an order was made", scored, ask)
    out.notes += chosen.time.sentences if chosen.time else ()
    others = ", ".join(f"`{one.name}`" for _, one in scored[:4] if one is not chosen)
    out.reasons["time"] = f"the best of {len(sure)} columns of times (also {others})" if others else "the only times"
    return chosen


def _one_of(
    out: Proposal, role: str, meaning: str, scored: Sequence[tuple[float, ColumnLook]], ask: Ask | None
) -> ColumnLook:
    """Return the best column, or the one that a person chooses where others are as likely."""
    close = [one.name for score, one in scored if score >= scored[0][0] - NEAR]
    chosen = scored[0][1]
    if len(close) == 1:
        return chosen
    if ask:
        answer = ask(f"Which column says {meaning}? Each of {', '.join(close)} may.", close)
        return next(one for _, one in scored if one.name == answer)
    out.notes.append(
        f"{len(close)} columns may say {meaning}: {', '.join(f'`{one}`' for one in close)}. `{chosen.name}` is taken; "
        f"change `{role}` under [order_lines] if it is another."
    )
    return chosen


def _customer(out: Proposal, columns: list[ColumnLook], ask: Ask | None) -> ColumnLook:
    rows = out.landed.rows
    usable = [
        one for one in columns if one.distinct > 1 and not one.boolean and not (one.amount and not one.amount.whole)
    ]
    found = ranked(
        usable, "customer", {one.name: _identifies(one, rows) for one in usable if named(one, "customer") > 0}
    )
    single = [one for one in columns if one.distinct == 1 and named(one, "customer") > 0]
    if not found and single:
        raise FromError(
            f"{out.place}: `{single[0].name}` names one customer, {single[0].example!r}, in all "
            f"{single[0].filled:,} rows. Who will not come again can be asked of many customers only."
        )
    if not found:
        found = _repeated(out, usable)
    chosen = _one_of(out, "customer", "who bought", found, ask)
    out.reasons["customer"] = f"{chosen.distinct:,} customers, {chosen.filled / chosen.distinct:.1f} rows each"
    if chosen.zeros_lead:
        out.reasons["customer"] += "; zeros in front are kept"
    if chosen.nothing:
        out.notes.append(f"`{chosen.name}`: {chosen.nothing}; they would count as one customer. Make them empty.")
    elif chosen.nulls:
        out.notes.append(f"`{chosen.name}`: {chosen.nulls:,} of {rows:,} rows are empty; they belong to nobody.")
    return chosen


def _repeated(out: Proposal, columns: list[ColumnLook]) -> list[tuple[float, ColumnLook]]:
    """Return columns that are called nothing telling and have some rows for each of many values."""
    others = ("amount", "product", "store", "quantity", "order")
    found = [
        one
        for one in columns
        if 1.2 <= one.filled / one.distinct <= 200 and not one.time and all(named(one, role) <= 0 for role in others)
    ]
    if not found:
        shown = ", ".join(f"`{one.name}`" for one in columns[:10])
        raise FromError(
            f"{out.place} has no column that seems to name customers among {shown}. Name a table that has, or call the "
            "column customer_id in a view."
        )
    return [(1.0, one) for one in sorted(found, key=lambda one: -one.distinct)]


def _identifies(column: ColumnLook, rows: int) -> float:
    """Return what its values say for a key of customers: some rows each, filled."""
    return (
        1.0 * (1.05 <= rows / column.distinct <= 2000) + 1.0 * (column.distinct >= 20) - 2.0 * (column.nulls > rows / 2)
    )


def _order(out: Proposal, columns: list[ColumnLook]) -> None:
    """Find what groups the rows of a purchase: each of its values has one customer."""
    customer = out.roles["customer"]
    for _, one in ranked(
        [one for one in columns if not one.boolean and not (one.amount and not one.amount.whole)], "order"
    ):
        if one.distinct < customer.distinct / 2:
            continue
        alone, groups = out.landed.one(
            f"select count(*) filter (c <= 1), count(*) from (select count(distinct {customer.sql}) as c from looked "
            f"where {one.sql} is not null group by {one.sql})"
        )
        if alone < 0.98 * groups:
            continue
        out.roles["order"] = one
        rows = "one row each" if one.distinct == one.filled else f"{one.filled / one.distinct:.1f} rows each"
        out.reasons["order"] = f"{one.distinct:,} orders, {rows}, {alone / groups:.0%} with one customer"
        return


def _grain(out: Proposal) -> None:
    """Tell orders from lines of orders."""
    rows, order = out.landed.rows, out.roles.get("order")
    if order is not None:
        groups = order.distinct
    else:
        moment = out.roles["time"].sql
        groups = out.landed.one(
            f"select count(*) from (select distinct {out.roles['customer'].sql}, {moment} from looked)"
        )[0]
    out.grain = "order" if "product" not in out.roles and rows <= SINGLE * groups else "line"
    if order is not None and order.distinct == rows:
        out.grain = "order"


def _optional(out: Proposal, columns: list[ColumnLook]) -> None:
    for role in ("product", "store", "discount", "coupon"):
        number = role in ("discount", "coupon")
        fit = [
            one
            for one in out.free(columns)
            if (
                one.amount is not None and one.distinct > 1
                if number
                else one.distinct > 1 and not (one.amount and not one.amount.whole)
            )
        ]
        found = best(fit, role)
        if found is not None:
            out.roles[role] = found
            out.reasons[role] = "" if number else f"{found.distinct:,} different"
    arrived = [one for one in columns if one.time and named(one, "arrived") > 0 and one is not out.roles["time"]]
    if arrived and not arrived[0].nulls:
        out.arrived = arrived[0].name


def _beside(out: Proposal, others: list[tuple[Landed, list[ColumnLook]]], columns: list[ColumnLook]) -> None:
    """Find the products' levels, and the tables that list products and customers."""
    product = out.roles.get("product")
    for other, looks in others:
        said = ""
        if product and out.products is None and (found := beside(out.landed, product, other, looks, "product")):
            out.products, out.levels = found, levels_of(found.columns)
            said = f"lists products: {found.share:.0%} of those bought are in it, by `{found.key}`"
        elif out.customers is None and (found := beside(out.landed, out.roles["customer"], other, looks, "customer")):
            out.customers = found
            said = f"lists customers: {found.share:.0%} of those who bought are in it, by `{found.key}`"
        out.notes += other.notes
        out.notes.append(f"{other.source.place} {said or 'is left out: it lists neither products nor customers'}.")
    if out.products and not out.levels:
        out.notes.append(f"{out.products.landed.source.place} has no levels of products; it is left out.")
        out.products = None
    if product and out.products is None:
        out.levels = levels_of([one for one in out.free(columns) if _of_product(out, one)])
    if "department" in out.levels:
        spend = out.money.spend(out.roles)
        out.departments = departments_of(out.landed, out.products, product, out.levels["department"], spend)


def _of_product(out: Proposal, column: ColumnLook) -> bool:
    """Tell whether a product has one value of a column, and fewer values than there are products."""
    product = out.roles["product"]
    if not 1 < column.distinct < product.distinct or (column.amount and not column.amount.whole):
        return False
    values = out.landed.one(
        f"select avg(n) from (select count(distinct {column.sql}) as n from looked group by {product.sql}) where n > 0"
    )[0]
    return values is not None and values < 1.1


def _refused(out: Proposal) -> None:
    """Tell what the expressions by which rows will be read cannot read, and what they read although it looks odd."""
    for role, look in out.roles.items():
        read = (
            look.time
            if role == "time"
            else look.number
            if role in ("amount", "quantity", "discount", "coupon")
            else None
        )
        if read and read.refused:
            what = "times" if role == "time" else "numbers"
            out.notes.append(
                f"`{look.name}`: {read.refused:,} of {look.filled:,} rows cannot be read as {what}, such as "
                f"{read.example!r}; they will be empty."
            )
        if role != "time" and look.number is not None and read is look.number and look.number.odd:
            out.notes.append(
                f"`{look.name}`: {look.number.odd:,} of {look.filled:,} rows hold more than a number, such as "
                f"{look.number.odd_example!r}; their digits are read. Look at them."
            )
        if role in ("order", "product") and look.nulls:
            what = look.nothing or f"{look.nulls:,} of {out.landed.rows:,} rows are empty"
            out.notes.append(f"`{look.name}`: {what}.")


def _visits(out: Proposal) -> None:
    """Make the table of visits, measure their rhythm, and tell what of the rows will not count.

    Raises:
        FromError: too few customers or days.
    """
    landed, roles, today = out.landed, out.roles, out.today
    time = roles["time"].time
    assert time is not None
    customer = reading.key(out.column("customer"), "duckdb")
    order = reading.key(out.column("order"), "duckdb") if "order" in roles else "null"
    landed.engine.execute(
        "create table visits as select customer, min(moment) as moment, cast(min(moment) as date) as day from (select "
        f"{customer} as customer, {order} as number, {time.sql} as moment, {out.money.spend(roles)} as amount from "
        "looked) where moment is not null and customer is not null and not coalesce(amount < 0, false) group by "
        "customer, coalesce(number, cast(moment as varchar))"
    )
    future, example = landed.one(f"select count(*), max(day) from visits where day > '{today}'")
    if future:
        out.notes.append(
            f"`{roles['time'].name}`: {future:,} orders lie in the future, such as {example}; they wait for their day. "
            "Look at them."
        )
    twice = landed.rows - landed.one("select count(*) from (select distinct * from looked)")[0]
    if twice:
        out.notes.append(
            f"{twice:,} of {landed.rows:,} rows repeat another row in every column; each counts as bought."
        )
    orders, customers = landed.one(f"select count(*), count(distinct customer) from visits where day <= '{today}'")
    if customers < 2:
        raise FromError(
            f"{out.place} has {orders:,} orders of {customers} customer{'s' * (customers != 1)} through {today}. "
            "Who will not come again can be asked of many customers only."
        )
    out.rhythm = found = rhythm(landed, hours=time.hours, today=today)
    if found.strays:
        out.notes.append(
            f"`{roles['time'].name}`: {found.strays:,} orders lie outside {found.first} to {found.last}, in weeks that "
            "have hardly any; the question leaves those weeks out."
        )
    if found.asked is None:
        needed = needed_days()
        raise FromError(
            f"{out.place}: its orders fill {found.days} days, {found.first} to {found.last}. The shortest question, "
            f"over 14 days, needs about {needed}: four weeks to look back over, and five weekly cutoffs with known "
            f"outcomes, to learn from and to be judged on. Come again with some {max(1, needed - found.days)} days "
            "more; nothing is written."
        )


def _keys(out: Proposal) -> tuple[str, ...]:
    """Return the columns that identify a row, if some of those with a role do."""
    rows, roles = out.landed.rows, out.roles
    sets = (("order",), ("order", "product"), ("customer", "time"), ("customer", "time", "product"))
    for one in sets:
        if not all(role in roles and not roles[role].nulls for role in one):
            continue
        listed = ", ".join(roles[role].sql for role in one)
        if out.landed.one(f"select count(*) from (select distinct {listed} from looked)")[0] == rows:
            return tuple(roles[role].name for role in one)
    return ()
