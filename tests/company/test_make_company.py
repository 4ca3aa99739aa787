"""Exports as shops make them become a company's file, or a sentence; the folder is there whole or not at all."""

import gzip
import random
import subprocess
import sys
from datetime import date, datetime, timedelta

import duckdb
import pytest

from resources.company import CompanyError, load
from resources.company.proposal import file_text, landed, propose, write
from resources.profiles import ROOT

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
    assert len(text.splitlines()) <= (60 if found.products else 40)
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
    rows = [
        f"({int(n)}, '{c:06d}', timestamptz '{at}+00', {cents / 100}, {c % 4})" for n, c, at, cents, *_ in orders(days)
    ]
    engine.execute(f"insert into sales values {', '.join(rows)}")
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


DEPARTMENTS = ("DAIRY", "FRUIT & VEG", "24H SNACKS", "PET", "BABY")


def shop(folder):
    """Write a folder of exports: lines of two years, a list of products and one of customers."""
    folder.mkdir()

    def row(number, customer, at, cents, product, pieces):
        return f"A{number};{customer:05d};{at:%d.%m.%Y %H:%M};{product + 100};{pieces};{cents / 100:.2f}".replace(
            f"{cents / 100:.2f}", f"{cents / 100:.2f}".replace(".", ",")
        )

    for year in (2024, 2025):
        data = [one for one in orders() if one[2].year == year]
        text = lines("OrderNo;CustomerID;OrderDate;StockCode;Quantity;LineTotal", row, data)
        (folder / f"lines_{year}.csv").write_text(text)
    products = [f"{one + 100},thing {one},{DEPARTMENTS[one % 5 if one % 5 < 3 else one % 3]}" for one in range(40)]
    (folder / "products.csv").write_text("\n".join(["id,title,department", *products]) + "\n")
    customers = [f"{one:05d},{'mf'[one % 2]},{'ABC'[one % 3]},2023-01-0{one % 9 + 1}" for one in range(60)]
    (folder / "customers.csv").write_text("\n".join(["customer_id,gender,region,since", *customers]) + "\n")
    return folder


def test_a_folder_of_lines_products_and_customers(tmp_path):
    found, company = of(tmp_path, str(shop(tmp_path / "exports")))
    assert company.order_lines.table == "lines"
    assert company.tables["lines"].source.endswith("exports/lines_*.csv")
    assert (company.products.table, company.products.product.column) == ("products", "id")
    assert (company.customers.customer.column, company.customers.attributes) == ("customer_id", ("gender", "region"))
    assert company.tables["products"].keys == ("id",)
    assert {one.name for one in company.departments} == {"dairy", "fruit_veg", "d_24h_snacks"}
    assert sum(share for _, _, share in found.departments) == pytest.approx(1)


def test_lines_and_orders_in_two_tables_are_told_to_be_joined(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders.csv").write_text(
        lines("order_id,customer_id,ordered_at", lambda n, c, at, *_: f"{n},{c},{at:%Y-%m-%d}")
    )
    (folder / "items.csv").write_text(
        lines("order_id,product_id,price", lambda n, c, at, cents, product, _: f"{n},{product},{cents / 100}")
    )
    with pytest.raises(CompanyError, match=r"orders.csv has no column of amounts.*Join what belongs together"):
        of(tmp_path, str(folder))


def test_a_recording_is_seen_by_its_end_and_a_living_table_is_none(tmp_path):
    text = lines(PLAIN, plain)
    _, company = made(tmp_path, text)
    assert company.recording_ends.isoformat() == "2025-12-06T08:00:00+00:00"
    until_yesterday = orders(start=TODAY - timedelta(days=SPAN))
    _, company = made(tmp_path, lines(PLAIN, plain, until_yesterday), name="alive")
    assert company.recording_ends is None


def test_the_question_fits_the_rhythm(tmp_path):
    _, often = made(tmp_path, lines(PLAIN, plain), name="often")
    assert (often.question.horizon_days, often.question.look_back_days) == (28, 84)
    rarely = [one for one in orders() if (one[2].toordinal() // 7 + one[1] * 5) % 12 == 0]
    _, rare = made(tmp_path, lines(PLAIN, plain, rarely), name="rare")
    assert rare.question.horizon_days == rare.question.active_within_days == 56
    # Four months: what can be looked back over is what leaves five cutoffs with known outcomes.
    _, short = made(tmp_path, lines(PLAIN, plain, orders(120)), name="short")
    assert (short.question.horizon_days, short.question.look_back_days) == (28, 56)
    assert short.question.first_cutoff == date(2024, 12, 30)


def test_rows_that_will_not_be_read_are_counted_with_an_example(tmp_path):
    def row(number, customer, at, cents, *_):
        amount = "free" if int(number) % 100 == 0 else f"{cents / 100:.2f}"
        who = "NULL" if int(number) % 200 == 0 else customer
        return f"{number},{who},{'soon' if number == '000007' else f'{at:%Y-%m-%d}'},{amount}"

    data = orders()
    found, _ = made(tmp_path, lines(PLAIN, row, data))
    told = " ".join(found.notes)
    assert f"`date`: 1 of {len(data):,} rows cannot be read as times, such as 'soon'" in told
    assert f"`amount`: {len(data) // 100:,} of {len(data):,} rows cannot be read as numbers, such as 'free'" in told
    assert f"`customer`: {len(data) // 200:,} of {len(data):,} rows say 'NULL'" in told


def test_texts_of_which_some_name_a_zone_are_told(tmp_path):
    def row(number, customer, at, cents, *_):
        zone = "" if int(number) % 50 == 0 else "Z"
        return f"{number},{customer},{at:%Y-%m-%dT%H:%M:%S}{zone},{cents / 100:.2f}"

    found, company = made(tmp_path, lines(PLAIN, row))
    assert company.order_lines.time.format == ""
    assert any("name no zone" in note and "the others do (Z in" in note for note in found.notes)


def test_a_return_that_a_column_tells(tmp_path):
    text = lines(
        PLAIN + ",status", lambda n, *rest: plain(n, *rest) + (",Returned" if int(n) % 40 == 0 else ",shipped")
    )
    _, company = made(tmp_path, text)
    assert company.money.returns == "column"
    assert (company.order_lines.returned.column, company.order_lines.returned.format) == ("status", "returned")


UNREAD = {
    "orders.xlsx": "spreadsheet, which is not read. Save its sheet of orders as CSV",
    "postgres:NO_SUCH_ADDRESS:orders": "in the environment variable NO_SUCH_ADDRESS",
    "bigquery:orders": "Expected bigquery:project.dataset.table; it is 'bigquery:orders'",
    "duckdb:nowhere.duckdb:orders": "there is no file 'nowhere.duckdb'",
    "": "It is empty",
}


@pytest.mark.parametrize("given", UNREAD)
def test_what_is_not_read_is_told_with_what_to_do(tmp_path, given):
    source = given
    if given.endswith(".xlsx"):
        (tmp_path / given).write_bytes(b"PK")
        source = str(tmp_path / given)
    with pytest.raises(CompanyError, match=UNREAD[given]):
        landed(source, lambda _: None)


def test_the_command_refuses_a_name_that_no_folder_may_have():
    command = [sys.executable, "-m", "commands.company", "--from", "orders.csv", "--name", "Web Shop"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: NAME must be small letters, digits and _, such as webshop; it is 'Web Shop'. Nothing was written.\n"
    )
