"""Which column is what: by its name, by what it holds, and by how it hangs together with the others."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from resources.company.proposal.columns import ColumnLook

ROLES = ("customer", "order", "time", "amount", "product", "store", "quantity", "discount", "coupon", "returned")
"""The columns of order lines, in the order of a company's file."""

NAMES: dict[str, str] = {
    "customer": "customer cust client user member household account buyer shopper consumer cardholder kunde klant "
    "cliente acheteur guest person email loyalty",
    "order": "order invoice basket transaction trans receipt ticket bill checkout bestellung rechnung commande "
    "factura pedido",
    "time": "date time day timestamp at datum zeit fecha ordered purchased created invoicedate when",
    "amount": "amount total sales revenue value price spend paid spent net gross sum betrag umsatz montant importe "
    "turnover",
    "product": "product item sku stock stockcode article artikel upc ean asin variant isbn",
    "store": "store shop branch outlet filiale magasin tienda",
    "quantity": "quantity qty units count pieces menge anzahl cds quantite cantidad items",
    "discount": "discount disc rabatt remise descuento markdown",
    "coupon": "coupon voucher",
    "department": "department dept division sector family abteilung",
    "category": "aisle group warengruppe category categorie kategorie class subclass",
    "product_type": "subcategory type",
    "currency": "currency curr waehrung devise",
    "arrived": "extracted loaded ingested inserted landed synced",
}
"""Words in a column's name that speak for a role."""

AGAINST: dict[str, str] = {
    "customer": "name order orders type segment group age gender city country since",
    "order": "date time day status type value amount total count number_of",
    "time": "birth signup registered updated modified shipped delivered due paid cancelled loaded extracted ingested "
    "return",
    "amount": "tax vat shipping discount disc coupon cost fee tip balance budget id number count",
    "product": "name description desc quantity price group category class subclass type count",
    "store": "name city type",
    "quantity": "price amount order id",
    "discount": "id code type name percent pct",
    "coupon": "id code type name",
}


@dataclass(frozen=True)
class Found:
    """A column for a role, the reason, and the others that could be it, best first."""

    column: ColumnLook
    reason: str
    others: tuple[str, ...] = ()


def words(name: str) -> list[str]:
    """Return the words of a column's name in small letters.

    >>> words("CustomerID"), words("sales_price"), words("InvoiceDate")
    (['customer', 'id'], ['sales', 'price'], ['invoice', 'date'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [one for one in re.split(r"[^a-z0-9]+", spaced.lower()) if one]


def named(column: ColumnLook, role: str) -> float:
    """Return how much a column's name speaks for a role: 2 for a word of it, 1 within a word, -2 for a word against."""
    own = words(column.name)
    joined = "".join(own)
    for_it = NAMES[role].split()
    score = 0.0
    if any(word in for_it or word.rstrip("s") in for_it for word in own):
        score = 2
    elif any(len(word) > 3 and word in joined for word in for_it):
        score = 1
    return score - 2 * sum(word in AGAINST.get(role, "").split() for word in own)


def ranked(
    columns: Iterable[ColumnLook], role: str, extra: dict[str, float] | None = None
) -> list[tuple[float, ColumnLook]]:
    """Return the columns that may have a role with their scores, best first; equal scores stay as they stand."""
    scored = [(named(one, role) + (extra or {}).get(one.name, 0), one) for one in columns]
    return sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])


def best(columns: Iterable[ColumnLook], role: str, extra: dict[str, float] | None = None) -> ColumnLook | None:
    """Return the best column for a role that a company may lack."""
    found = ranked(columns, role, extra)
    return found[0][1] if found else None
