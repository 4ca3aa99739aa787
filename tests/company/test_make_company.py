"""Exports as shops make them become a company's file, or a sentence; the folder is there whole or not at all."""

import gzip
import random
from datetime import date, datetime, timedelta

import duckdb
import pytest

from resources.company import CompanyError, load
from resources.company.proposal import file_text, landed, propose, write

TODAY = date(2026, 1, 5)
SPAN = 400


def orders(days=SPAN, customers=60, start=date(2024, 11, 1)):
    """Return made-up orders, oldest first: number, customer, time, cents, product, pieces."""
    chance = random.Random(7)
    found = []
    for day in range(days):
        for customer in range(customers):
            if chance.random() < 0.03 + 0.05 * (customer % 3):
                at = datetime.combine(start + timedelta(days=day), datetime.min.time()) + timedelta(
                    minutes=chance.randrange(480, 1200)
                )
                found.append(
                    (customer, at, chance.randrange(101, 250_000), chance.randrange(40), chance.randrange(1, 6))
                )
    found.sort(key=lambda one: one[1])
    return [(f"{number:06d}", *one) for number, one in enumerate(found, start=1)]


def made(tmp_path, text, file="orders.csv", name="webshop", **rest):
    """Propose from a text file, write the folder, and return the proposal and the company as read back."""
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return of(tmp_path, str(path), name, **rest)


def of(tmp_path, source, name="webshop", **rest):
    found = propose(landed(source, lambda _: None), name, today=TODAY, **rest)
    folder = tmp_path / "companies" / name
    text = file_text(found, folder)
    write(text, folder)
    assert len(text.splitlines()) <= 45
    assert [one.name for one in folder.iterdir()] == ["company.toml"]
    return found, load(folder)


def lines(header, row, data=None):
    return "\n".join([header, *(row(*one) for one in (data or orders()))]) + "\n"


def test_a_plain_export_becomes_a_company(tmp_path):
    text = lines(
        "order_id,customer_id,ordered_at,total",
        lambda n, c, at, cents, *_: f"{n},C{c},{at:%Y-%m-%d %H:%M:%S},{cents / 100:.2f}",
    )
    found, company = made(tmp_path, text)
    asked = company.order_lines
    assert (asked.customer.column, asked.order.column, asked.time.column, asked.amount.column) == (
        "customer_id", "order_id", "ordered_at", "total",
    )  # fmt: skip
    assert asked.grain == "order"
    assert asked.time.format == ""
    assert asked.hours
    assert found.rhythm.hours == (8, 20)
    assert company.question.first_cutoff.weekday() == 0
    assert company.tables["orders"].keys == ("order_id",)
    assert load(tmp_path / "companies" / "webshop") == company


def test_days_before_months_are_seen_from_all_rows(tmp_path):
    row = "{n};{c};{at:%d/%m/%Y %H:%M};{amount}"
    text = lines("Rechnung;Kunde;Datum;Betrag", lambda n, c, at, cents, *_: row.format(
        n=n, c=c, at=at, amount=f"{cents / 100:,.2f} €".translate(str.maketrans(",.", ".,"))))  # fmt: skip
    found, company = made(tmp_path, text)
    asked = company.order_lines
    assert asked.time.format == "%d/%m/%Y %H:%M"
    assert asked.amount.format == ","
    assert company.money.currency == "EUR"
    assert found.landed.types.keys() == {"Rechnung", "Kunde", "Datum", "Betrag"}
    assert any("day first; month first cannot read" in note for note in found.notes)


def test_months_before_days_and_years_of_two_digits(tmp_path):
    text = lines("invoice,client,date,amount", lambda n, c, at, cents, *_: f"{n},{c},{at:%m/%d/%y},${cents / 100:.2f}")
    found, company = made(tmp_path, text)
    assert company.order_lines.time.format == "%m/%d/%y"
    assert not company.order_lines.hours
    assert company.money.currency == "USD"
    assert any("two digits" in note and "2024 to 2025" in note for note in found.notes)


def test_days_that_may_be_months_are_decided_by_how_time_runs(tmp_path):
    few = [one for one in orders() if one[2].day <= 12]
    text = lines(
        "invoice,client,date,amount", lambda n, c, at, cents, *_: f"{n},{c},{at:%m/%d/%Y},{cents / 100:.2f}", few
    )
    found, company = made(tmp_path, text)
    assert company.order_lines.time.format == "%m/%d/%Y"
    assert any("because time then runs back only 0 times" in note for note in found.notes)


def test_lines_with_products_pieces_and_a_price_for_one(tmp_path):
    def row(number, customer, at, cents, product, pieces):
        return f"{number},S{product:03d},{pieces},{at:%Y-%m-%dT%H:%M:%S},{(product + 1) * 1.25:.2f},{customer:05d}"

    _, company = made(tmp_path, lines("InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID", row))
    asked = company.order_lines
    assert (asked.amount.column, asked.amount_is, asked.quantity.column) == ("UnitPrice", "unit", "Quantity")
    assert asked.product.column == "StockCode"
    assert {"products", "quantity", "hours"} <= company.parts


def test_a_price_that_grows_with_the_pieces_is_the_rows(tmp_path):
    def row(number, customer, at, cents, product, pieces):
        return f"{at:%m/%d/%Y},{customer},{product},{pieces},{(product + 1) * 3 * pieces}"

    _, company = made(tmp_path, lines("DATE,CUSTOMER_ID,PRODUCT_ID,AMOUNT,SALES_PRICE", row))
    asked = company.order_lines
    assert (asked.amount.column, asked.amount_is, asked.quantity.column) == ("SALES_PRICE", "row", "AMOUNT")
    assert asked.order is None


def test_returns_are_seen_in_minus_signs_behind_and_in_brackets(tmp_path):
    def row(number, customer, at, cents, *_):
        amount = f"{cents / 100:.2f}" + ("-" if int(number) % 50 == 0 else "")
        return f"{number},{customer},{at:%d.%m.%Y},{f'({amount})' if int(number) % 51 == 0 else amount}"

    found, company = made(tmp_path, lines("order,customer,date,amount", row))
    assert company.money.returns == "negative"
    assert any("minus behind the number" in note for note in found.notes)
    assert any("brackets" in note for note in found.notes)


@pytest.mark.parametrize(
    ("format_", "shown"),
    [
        ("epoch", lambda at: int((at - datetime(1970, 1, 1)).total_seconds())),
        ("epoch_ms", lambda at: int((at - datetime(1970, 1, 1)).total_seconds() * 1000)),
        ("excel", lambda at: f"{(at - datetime(1899, 12, 30)) / timedelta(days=1):.6f}"),
        ("%Y%m%d", lambda at: f"{at:%Y%m%d}"),
    ],
)
def test_numbers_that_are_times(tmp_path, format_, shown):
    text = lines("order,customer,created,amount", lambda n, c, at, cents, *_: f"{n},{c},{shown(at)},{cents / 100:.2f}")
    _, company = made(tmp_path, text)
    assert company.order_lines.time.format == format_


def test_a_file_with_a_mark_quoted_line_ends_and_an_index(tmp_path):
    text = lines(
        ',customer_id,"order, day",amount,remark',
        lambda n, c, at, cents, *_: f'{int(n)},{c},{at:%Y-%m-%d},{cents / 100:.2f},"two\nlines, one field"',
    )
    found, company = made(tmp_path, b"\xef\xbb\xbf" + text.encode())
    assert company.order_lines.time.column == "order, day"
    assert found.landed.rows == len(orders())


def test_ragged_rows_are_refused_with_count_and_example(tmp_path):
    rows = lines(PLAIN, plain).splitlines()
    rows[9] += ",1"
    rows[19] += ",1"
    with pytest.raises(CompanyError, match=r"2 row\(s\) of the table do not fit. The first, in line 10, has more"):
        made(tmp_path, "\n".join(rows))


def test_columns_that_are_aligned_by_blanks(tmp_path):
    def row(number, customer, at, cents, *_):
        return f" {customer:05d} {at:%Y%m%d} {cents % 5 + 1:>2} {cents / 100:>9.2f}"

    found, company = made(tmp_path, lines(" customer_id  date pieces  dollar_value", row), file="orders.txt")
    assert company.tables["orders"].delimiter == " "
    assert company.order_lines.amount.column == "dollar_value"
    assert found.landed.rows == len(orders())


def test_letters_that_are_no_utf_8_and_a_packed_file(tmp_path):
    text = lines(
        "order\tcustomer\tdate\tamount", lambda n, c, at, cents, *_: f"{n}\tJosé{c}\t{at:%Y-%m-%d}\t{cents / 100:.2f}"
    )
    found, company = made(tmp_path, gzip.compress(text.encode("latin-1")), file="orders.tsv.gz")
    assert company.tables["orders"].encoding == "latin-1"
    assert found.landed.rows == len(orders())
    assert any("not UTF-8" in note for note in found.notes)


def test_instants_with_several_offsets(tmp_path):
    def row(number, customer, at, cents, *_):
        return f"{number},{customer},{at:%Y-%m-%dT%H:%M:%S}+0{1 + (4 <= at.month <= 10)}:00,{cents / 100:.2f}"

    found, company = made(tmp_path, lines("order,customer,date,amount", row))
    assert company.order_lines.time.format == ""
    assert any("several offsets" in note for note in found.notes)


def table(file, days=SPAN):
    engine = duckdb.connect(str(file))
    engine.execute(
        "create table sales (receipt bigint, member varchar, sold_at timestamptz, paid decimal(12, 2), branch int)"
    )
    engine.executemany("insert into sales values (?, ?, ?, ?, ?)",
        [(int(n), f"{c:06d}", at, cents / 100, c % 4) for n, c, at, cents, *_ in orders(days)])  # fmt: skip
    return engine


def test_a_table_of_a_duckdb_file(tmp_path):
    table(tmp_path / "shop.duckdb").close()
    _, company = of(tmp_path, f"duckdb:{tmp_path}/shop.duckdb:sales")
    assert company.order_lines.store.column == "branch"
    assert company.tables["sales"].source.startswith("duckdb:")


def test_parquet_files_by_a_pattern(tmp_path):
    engine = table(tmp_path / "shop.duckdb")
    for half in (0, 1):
        engine.execute(f"copy (from sales where receipt % 2 = {half}) to '{tmp_path}/sales_{half}.parquet'")
    found, company = of(tmp_path, f"{tmp_path}/sales_*.parquet")
    assert found.landed.rows == len(orders())
    assert company.tables["sales"].source.endswith("sales_*.parquet")


def test_a_weekday_without_orders_is_closed(tmp_path):
    data = [one for one in orders() if one[2].weekday() != 6]
    text = lines(
        "order,customer,date,amount", lambda n, c, at, cents, *_: f"{n},{c},{at:%Y-%m-%d},{cents / 100:.2f}", data
    )
    _, company = made(tmp_path, text)
    assert company.time.closed_weekdays == ("sunday",)


def test_two_columns_for_the_customer_are_told_or_asked(tmp_path):
    text = lines(
        "order,customer_id,member_id,date,amount",
        lambda n, c, at, cents, *_: f"{n},{c},M{c},{at:%Y-%m-%d},{cents / 100:.2f}",
    )
    found, company = made(tmp_path, text)
    assert company.order_lines.customer.column == "customer_id"
    assert any("change `customer`" in note for note in found.notes)
    _, company = made(tmp_path, text, name="asked", ask=lambda _, choices: choices[1])
    assert company.order_lines.customer.column == "member_id"


PLAIN = "order,customer,date,amount"


def plain(number, customer, at, cents, *_):
    return f"{number},{customer},{at:%Y-%m-%d},{cents / 100:.2f}"


REFUSED = {
    "no row": (PLAIN + "\n", "holds no row: its columns are order, customer, date, amount"),
    "no byte": ("", "is empty"),
    "a title": ("Sales\n\n" + lines(PLAIN, plain), "must stand in its first line, and 1 other line stands above"),
    "no names": (lines("1,7,2024-11-01,5.00", plain), "holds values .* and no names"),
    "no time": (lines("order,customer,amount", lambda n, c, at, cents, *_: f"{n},x{c},{cents / 100:.2f}"), "no column "
    "of times"),
    "one customer": (lines(PLAIN, lambda n, c, *rest: plain(n, 7, *rest)), "`customer` names one customer, '7'"),
    "few weeks": (lines(PLAIN, plain, orders(60)), "its orders fill 60 days, 2024-11-01 to 2024-12-30"),
    "amounts of words": (lines(PLAIN, lambda n, c, at, cents, *_: f"{n},{c},{at:%Y-%m-%d},about {cents}"), "`amount` "
    "should be an amount"),
    "two currencies": (
        lines(PLAIN, lambda n, c, at, cents, *_: plain(n, c, at, 0)[:-4] + ("EUR 5" if int(n) % 9 else "USD 5")),
        "says 2 currencies: EUR in",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_a_company_is_refused_in_a_sentence(tmp_path, case):
    text, message = REFUSED[case]
    with pytest.raises(CompanyError, match=message):
        made(tmp_path, text)
    assert not (tmp_path / "companies").exists()


def test_what_is_not_there_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "sales.csv").write_text("a,b\n")
    with pytest.raises(CompanyError, match=r"There is no file .*In that folder there are sales.csv"):
        landed(str(tmp_path / "orders.csv"), lambda _: None)
    table(tmp_path / "shop.duckdb", 3).close()
    with pytest.raises(CompanyError, match=r"holds no table 'orders'; it holds sales"):
        landed(f"duckdb:{tmp_path}/shop.duckdb:orders", lambda _: None)


def test_empty_columns_future_days_and_repeated_rows_are_told(tmp_path):
    def row(number, customer, at, cents, *_):
        day = datetime(2031, 5, 1) if number == "000100" else at
        return f"{number},{customer},{day:%Y-%m-%d},{cents / 100:.2f},"

    text = lines("order,customer,date,amount,remark", row)
    found, _ = made(tmp_path, text + text.splitlines()[5] + "\n")
    told = " ".join(found.notes)
    assert "`remark` is null in all" in told
    assert "1 orders lie in the future, such as 2031-05-01" in told
    assert "1 of " in told
    assert "repeat another row" in told


def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    text = lines(PLAIN, plain)
    made(tmp_path, text)
    file = tmp_path / "companies" / "webshop" / "company.toml"
    before = file.read_text()
    with pytest.raises(CompanyError, match="companies/webshop is there already"):
        made(tmp_path, text)
    assert file.read_text() == before
    assert [one.name for one in file.parent.parent.iterdir()] == ["webshop"]


def test_a_file_that_would_not_be_valid_leaves_nothing_behind(tmp_path):
    with pytest.raises(CompanyError, match="order_lines"):
        write('title = "x"\n', tmp_path / "companies" / "webshop")
    assert list((tmp_path / "companies").iterdir()) == []
