"""A proposal as the text of a company's file, each choice with its reason, and as what a terminal is told."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.company.model import Column, RawTable
from resources.company.proposal.rhythm import MORNING, Rhythm
from resources.company.proposal.roles import ROLES

if TYPE_CHECKING:
    from resources.company.proposal.propose import Proposal
    from resources.company.proposal.sources import Source

WIDTH = 110
OLD_DAYS = 14
"""Days without a row after which the data are taken for a recording."""


def file_text(found: "Proposal", folder: Path) -> str:
    """Return the file; the path of files is relative to its folder where it can be."""
    parts = [
        _top(found),
        _question(_rhythm(found)),
        _time(found),
        _money(found),
        _order_lines(found),
        _products(found),
        _customers(found),
        _raw(found.landed.source, folder, found),
        *(
            _raw(one.landed.source, folder, key=one.key if one.unique else "")
            for one in (found.products, found.customers)
            if one
        ),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def recording_end(found: "Proposal") -> date | None:
    """Return the last day of data that stopped some time ago; None where rows still come."""
    last = _rhythm(found).last
    return last if (found.today - last).days > OLD_DAYS else None


def _rhythm(found: "Proposal") -> Rhythm:
    assert found.rhythm is not None
    return found.rhythm


def _top(found: "Proposal") -> list[str]:
    lines = [
        f"# Proposed from {_plain(found.place)}, {found.landed.rows:,} rows. Every field: docs/company_fields.md.",
        f"title = {_text(found.title)}",
    ]
    last = recording_end(found)
    if last:
        stands = datetime.combine(last + timedelta(days=1), time(MORNING), UTC)
        lines += [
            f"# The data end on {last}: a recording, whose clock stands at its end. Without this line it is today's.",
            f"recording_ends = {stands:%Y-%m-%dT%H:%M:%S}Z",
        ]
    if found.departments:
        share = sum(one for _, _, one in found.departments)
        lines.append(f"departments = [  # the largest by spend: {share:.0%} of it")
        lines += [
            f"  {{ name = {_text(name)}, values = [{_text(value)}] }},  # {one:.0%}"
            for name, value, one in found.departments
        ]
        lines.append("]")
    return lines


def _question(rhythm: Rhythm) -> list[str]:
    asked = rhythm.asked
    assert asked is not None
    shares = ", ".join(f"{share:.0%} within {days}" for days, share in rhythm.again.items())
    return [
        "[question]",
        f"# Customers who come again: {shares} days.",
        f"horizon_days = {asked.horizon}  # {asked.cutoffs} cutoffs have known outcomes",
        f"active_within_days = {asked.horizon}",
        f"look_back_days = {asked.look_back}",
        f"first_cutoff = {asked.first_cutoff}  # orders: {rhythm.first} to {rhythm.last}",
    ]


def _time(found: "Proposal") -> list[str]:
    rhythm = _rhythm(found)
    lines = ["[time]", f'zone = "UTC"  # {zone_said(found)}']
    if rhythm.closed:
        lines.append(f"closed_weekdays = {json.dumps(rhythm.closed)}  # hardly an order on them")
    return lines


def zone_said(found: "Proposal") -> str:
    """Return what the times say of the shops' zone and hours."""
    read, hours = found.roles["time"].time, _rhythm(found).hours
    assert read is not None
    if not hours:
        return "dates without a time of day; write the shops' zone, such as Europe/Paris"
    seen = f"shops seem to open {hours[0]} to {hours[1]}"
    if read.instant:
        return f"times are instants; in UTC {seen}: write the shops' zone, such as Europe/Paris"
    return f"times have no zone, and are the shops' clock; {seen}"


def _money(found: "Proposal") -> list[str]:
    told = found.reasons.get("currency", "nothing names one: correct it")
    returns = f'returns = "{found.money.returns}"'
    if found.money.returns == "none":
        returns += "  # no amount is below zero"
    else:
        returns += f"  # {_plain(found.reasons['returns'])}"
    return ["[money]", f'currency = "{found.money.currency}"  # {_plain(told)}', returns]


def _order_lines(found: "Proposal") -> list[str]:
    lines = ["[order_lines]", f"table = {_text(found.landed.source.name)}", f'grain = "{found.grain}"']
    for role in ROLES:
        if role in found.roles:
            lines += _commented(f"{role} = {_column(found.column(role))}", found.reasons.get(role, ""))
        elif role == "order":
            lines.append("# No column numbers orders: a customer's rows of one moment are one order.")
        if role == "amount" and found.money.amount_is == "unit":
            lines.append('amount_is = "unit"')
    read = found.roles["time"].time
    if read and not read.hours:
        lines.append("hours = false")
    return lines


def _products(found: "Proposal") -> list[str]:
    if not found.levels:
        return []
    lines = ["[products]"]
    if found.products:
        lines += [
            f"table = {_text(found.products.landed.source.name)}",
            f"product = {_text(found.products.key)}  # lists {found.products.share:.0%} of what was bought",
        ]
    return lines + [f"{level} = {_text(one.name)}  # {one.distinct:,} different" for level, one in found.levels.items()]


def _customers(found: "Proposal") -> list[str]:
    if not found.customers:
        return []
    return [
        "[customers]",
        f"table = {_text(found.customers.landed.source.name)}",
        f"customer = {_text(found.customers.key)}  # lists {found.customers.share:.0%} of those who bought",
        f"attributes = {json.dumps(found.customers.attributes, ensure_ascii=False)}",
    ]


def _raw(source: "Source", folder: Path, found: "Proposal | None" = None, key: str = "") -> list[str]:
    """Return the block of a raw table; `found` for that of the orders, `key` for a list."""
    if source.declared is None:
        if source.connector is None:
            return [
                f"# raw.{source.name} is synced by the connection {_plain(source.connection)} of the Airbyte server."
            ]
        fields = source.connector.model_dump(exclude_defaults=True, mode="json")
        return [f"[airbyte.{source.connection}]", *(f"{name} = {_value(value)}" for name, value in fields.items())]
    lines = [f"[tables.{source.name}]", f"source = {_text(_relative(source.declared, folder))}"]
    if found:
        lines.append(f"time = {_text(found.roles['time'].name)}")
        if found.keys:
            lines.append(f"keys = {json.dumps(list(found.keys), ensure_ascii=False)}  # no two rows have the same")
        if found.arrived:
            lines.append(f"arrived = {_text(found.arrived)}")
    if key:
        lines.append(f"keys = [{_text(key)}]")
    declared = source.declared
    named = {"connection": declared.connection, "delimiter": declared.delimiter, "encoding": declared.encoding}
    return lines + [f"{name} = {_text(value)}" for name, value in named.items() if value]


def _relative(declared: RawTable, folder: Path) -> str:
    kind, _, path = declared.source.partition(":")
    # Files of the project move along with it; others stay where they are.
    root = folder.parent.parent.resolve().as_posix()
    if kind != "postgres" and path.startswith(root + "/"):
        return f"{kind}:{os.path.relpath(path, folder.resolve())}"
    return declared.source


def _column(column: Column) -> str:
    fields = {name: value for name, value in column.model_dump(exclude_defaults=True).items() if name != "column"}
    if not fields:
        return _text(column.column)
    more = ", ".join(f"{name} = {_text(value)}" for name, value in fields.items())
    return f"{{ column = {_text(column.column)}, {more} }}"


def _commented(line: str, reason: str) -> list[str]:
    if not reason:
        return [line]
    whole = f"{line}  # {_plain(reason)}"
    return [whole] if len(whole) <= WIDTH else [f"# {_plain(reason)}", line]


def _plain(text: str) -> str:
    """Return a text for a comment: what no line may hold becomes a space."""
    return "".join(one if one.isprintable() else " " for one in text)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_text(str(name))} = {_value(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # TOML knows the escapes of JSON, but for the one of DEL, which must be escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
