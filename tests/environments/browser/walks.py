"""What people do on the pages of `make app`, task by task, as they do it: by mouse, by keyboard, without scripts.

A task is one function below `@task`; it gets a `Visit` and says by assertions what a person would see. Whatever the
task is, `walk` also finds what went wrong beside it: errors of the console, requests to elsewhere, a page that is wider
than the window, and serious findings of axe-core on the page where the task ends.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

WALKS: dict[str, Callable[["Visit"], None]] = {}
SERIOUS = {"serious", "critical"}
TIMEOUT_MS = 20_000


@dataclass
class Visit:
    """One person at one window.

    `facts` is what the test knows of the data: `customers`, how many are scored; `bands`, how many in each; `first`,
    the first customer of the usual order.
    """

    page: Page
    address: str
    facts: dict[str, Any]
    width: int
    refused: set[int] = field(default_factory=set)
    """Statuses that this task asks for: the console says them, and nothing is wrong."""

    def open(self, path: str = "/") -> None:
        """Open a page of the application."""
        answer = self.page.goto(self.address.rstrip("/") + path)
        assert answer is not None
        assert answer.status in ({200} | self.refused), f"{path} answered {answer.status}"

    def title(self) -> str:
        """Return what the page's first heading says."""
        return self.page.locator("h1").inner_text()

    def rows(self, region: str = "The list") -> Locator:
        """Return the rows of a table by the name of its region."""
        return self.page.get_by_role("region", name=region, exact=True).locator("tbody tr")

    def column(self, heading: str, region: str = "The list") -> list[str]:
        """Return the texts of a table's column; of a cell with a link only the link's, without a mark beside it."""
        table = self.page.get_by_role("region", name=region, exact=True)
        headings = table.locator("thead th").all_inner_texts()
        at = headings.index(heading)
        cells = [row.locator("th, td").nth(at) for row in table.locator("tbody tr").all()]
        return [(cell.locator("a").first if cell.locator("a").count() else cell).inner_text() for cell in cells]

    def found(self) -> int:
        """Return how many customers the page says that it found."""
        said = re.search(r"([\d,]+) customers?(?: found)?\.", self.page.locator("main").inner_text())
        assert said, "the page does not say how many it found"
        return int(said[1].replace(",", ""))


def task(done: Callable[[Visit], None]) -> Callable[[Visit], None]:
    """Make a function a task, by its name."""
    WALKS[done.__name__] = done
    return done


def walk(browser: Browser, request: dict[str, Any]) -> list[str]:
    """Do a task and return what was wrong, a sentence each.

    `scheme` is light or dark; `scripts` false: the browser runs none, and axe-core, which is one, is left out.
    """
    scripts = request.get("scripts", True)
    context = browser.new_context(
        viewport={"width": request["width"], "height": 844 if request["width"] < 500 else 900},
        color_scheme=request.get("scheme", "light"),
        java_script_enabled=scripts,
        accept_downloads=True,
    )
    context.set_default_timeout(TIMEOUT_MS)
    try:
        page = context.new_page()
        visit = Visit(page, request["address"], request["facts"], request["width"])
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(f"console: {said.text}") if is_wrong(said, visit) else None)
        page.on("pageerror", lambda error: wrong.append(f"a script failed: {error}"))
        page.on(
            "request", lambda asked: wrong.append(f"asked elsewhere: {asked.url}") if is_away(asked, visit) else None
        )
        WALKS[request["walk"]](visit)
        return wrong + (looked_at(page) if scripts else [])
    finally:
        context.close()


def look(visit: Visit) -> None:
    """Open an address, and do nothing: only what is wrong beside a task is told."""
    visit.page.goto(visit.address)


WALKS["look"] = look


def is_wrong(said: Any, visit: Visit) -> bool:
    """Return whether the console says something that the task did not ask for."""
    asked_for = any(f"status of {status} " in said.text for status in visit.refused)
    return said.type in {"error", "warning"} and not asked_for


def is_away(asked: Any, visit: Visit) -> bool:
    """Return whether a request leaves the application."""
    return not asked.url.startswith((visit.address.rstrip("/") + "/", "data:", "blob:"))


def looked_at(page: Page) -> list[str]:
    """Return what is wrong with the page as it is now: serious findings of axe-core, and what sticks out."""
    found = Axe().run(page).response["violations"]
    wrong = []
    for one in found:
        if one["impact"] in SERIOUS:
            places = "; ".join(str(node["target"]) for node in one["nodes"][:3])
            wrong.append(f"axe-core, {one['impact']}: {one['help']} ({one['id']}) at {places}")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        wrong.append(f"the page is {wide} pixels wider than the window")
    return wrong


def number(text: str) -> float:
    """Return the number of a cell such as `EUR 5,460` or `31.4 %`."""
    said = re.search(r"-?[\d,]+(?:\.\d+)?", text)
    assert said, f"no number in {text!r}"
    return float(said[0].replace(",", ""))


# Tasks on the page of the week


@task
def see_whom_to_call_today(visit: Visit) -> None:
    """Whom do I call today, why, and can I trust it: all three on the first page."""
    visit.open()
    assert visit.title().startswith("This week"), visit.title()
    assert visit.page.locator("#decision").inner_text()
    assert visit.found() == visit.facts["customers"]
    assert visit.column("Customer")[0] == visit.facts["first"]
    assert all(visit.column("Why")[:3])
    expect(visit.page.get_by_role("link", name="More about whether it can be trusted")).to_be_visible()


@task
def find_a_customer(visit: Visit) -> None:
    """By the identifier, and back to all."""
    visit.open()
    visit.page.get_by_label("Customer or reason").fill(visit.facts["first"])
    visit.page.get_by_role("button", name="Show").click()
    assert visit.facts["first"] in visit.column("Customer")
    assert visit.found() < visit.facts["customers"]
    expect(visit.page.get_by_label("Customer or reason")).to_have_value(visit.facts["first"])
    visit.page.get_by_role("link", name="Show all.").click()
    assert visit.found() == visit.facts["customers"]


@task
def find_nobody(visit: Visit) -> None:
    """Letters that nobody has: a sentence, and the way back."""
    visit.open()
    visit.page.get_by_label("Customer or reason").fill("no such customer")
    visit.page.get_by_role("button", name="Show").click()
    expect(visit.page.get_by_text("Nobody fits.")).to_be_visible()
    expect(visit.page.get_by_role("link", name="Show all.")).to_be_visible()


@task
def filter_by_risk(visit: Visit) -> None:
    """Each band has as many customers as the table."""
    visit.open()
    for band, customers in visit.facts["bands"].items():
        visit.page.get_by_label("Risk").select_option(band)
        visit.page.get_by_role("button", name="Show").click()
        expect(visit.page.get_by_label("Risk")).to_have_value(band)
        assert visit.found() == customers, band


@task
def sort_by_every_order(visit: Visit) -> None:
    """Each order that is offered is that of its column."""
    visit.open()
    offered = visit.page.get_by_label("Order").locator("option").evaluate_all("all => all.map(one => one.value)")
    assert {"risk", "customer"} <= set(offered)
    by = {
        "loss": "Expected loss",
        "risk": "Chance to stay away",
        "spend": next((one for one in visit.page.locator("thead th").all_inner_texts() if "Spent" in one), ""),
    }
    for order in offered:
        visit.page.get_by_label("Order").select_option(order)
        visit.page.get_by_role("button", name="Show").click()
        expect(visit.page.get_by_label("Order")).to_have_value(order)
        if order in by:
            shown = [number(cell) for cell in visit.column(by[order]) if cell != "not known"]
            assert len(shown) > 1, order
            assert shown == sorted(shown, reverse=True), order
        elif order == "customer":
            assert visit.column("Customer") == sorted(visit.column("Customer"))


@task
def page_through_the_list(visit: Visit) -> None:
    """Forth and back, without a customer twice."""
    visit.open()
    first = visit.column("Customer")
    visit.page.get_by_role("link", name="Next", exact=True).click()
    expect(visit.page.get_by_text("Page 2 of")).to_be_visible()
    second = visit.column("Customer")
    assert not set(first) & set(second)
    visit.page.get_by_role("link", name="Previous", exact=True).click()
    assert visit.column("Customer") == first


@task
def download_the_list(visit: Visit) -> None:
    """The file has every customer of the chosen list, in the order of the page."""
    visit.open()
    visit.page.get_by_label("Risk").select_option("high")
    visit.page.get_by_role("button", name="Show").click()
    shown = visit.column("Customer")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("link", name=re.compile("^Download .* as CSV$")).click()
    assert re.fullmatch(r"call_list_\d{4}-\d\d-\d\d\.csv", waiting.value.suggested_filename)
    with open(waiting.value.path(), newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == visit.facts["bands"]["high"]
    assert [row["customer_id"] for row in rows[: len(shown)]] == shown


# Tasks on the page of a customer


@task
def open_a_customer(visit: Visit) -> None:
    """From the list: the same chance, the reasons, and what came of former weeks."""
    visit.open()
    chance = visit.column("Chance to stay away")[0]
    visit.page.get_by_role("link", name=visit.facts["first"], exact=True).click()
    assert visit.title() == f"Customer {visit.facts['first']}"
    expect(visit.page.get_by_role("heading", name=f"{chance} chance to stay away")).to_be_visible()
    assert visit.column("Chance to stay away", "Scored weeks")[0] == chance
    assert visit.column("What came of it", "Scored weeks")[0] == "not known yet"
    assert visit.page.locator("dl dd").count() >= 3


def says(visit: Visit) -> str:
    """Return what the model says, where the sliders are."""
    return visit.page.locator("#says").inner_text()


@task
def move_a_slider(visit: Visit) -> None:
    """What would the model say if: by the keys of one slider, with the answer, what moves along, and the way back."""
    visit.open(f"/customer?id={visit.facts['first']}")
    # The first who comes waits until the model is read; the page says so.
    again = visit.page.get_by_role("link", name="Open this page again")
    for _ in range(60):
        if not again.count():
            break
        visit.page.wait_for_timeout(2000)
        again.click()
    assert "Nothing is moved" in says(visit)
    slider = visit.page.locator("#moves input[type=range]").first
    own = slider.input_value()
    # Without a script the number beside the slider is that of the page; the button asks.
    slider.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowUp" if own == slider.get_attribute("min") else "ArrowDown")
    moved = slider.input_value()
    assert moved != own
    visit.page.get_by_role("button", name="What would it say?").click()
    expect(visit.page.locator("#says")).to_contain_text("instead of")
    expect(visit.page.locator("#answer")).to_contain_text("The model would say")
    expect(slider).to_have_value(moved)
    expect(visit.page.get_by_role("heading", name="The nearest real customer")).to_be_visible()
    visit.page.get_by_role("link", name="Take everything back").click()
    expect(visit.page.locator("#says")).to_contain_text("Nothing is moved")


@task
def ask_for_a_customer_who_is_not_there(visit: Visit) -> None:
    """A sentence, and the way to the list."""
    visit.refused = {404}
    visit.open("/customer?id=nobody")
    assert visit.title() == "Not found"
    visit.page.get_by_role("link", name="To the list of this week").click()
    assert visit.found() == visit.facts["customers"]


# Tasks on the pages of trust and of the card


@task
def see_whether_it_can_be_trusted(visit: Visit) -> None:
    """Pictures with a table of the same numbers, kinds of customers, and what went wrong."""
    visit.open()
    visit.page.get_by_role("link", name="Can we trust it?").click()
    assert visit.title() == "Can we trust it?"
    assert visit.page.get_by_role("img").count() >= 1
    assert visit.rows("Judged weeks").count() >= 1
    for heading in ("Did the predictions hold?", "What went wrong, and what was done", "Which version served"):
        expect(visit.page.get_by_role("heading", name=heading)).to_be_visible()


@task
def read_the_model_card(visit: Visit) -> None:
    """Of the version that serves, from the menu: what it is for and not for, how good it is, and who answers for it."""
    visit.open()
    visit.page.get_by_role("link", name="The model's card").click()
    visit.page.wait_for_url("**/card")
    for heading in ("What it is for", "What it is not for", "Limits", "Who answers for it"):
        expect(visit.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


@task
def go_to_a_version_s_card_and_back(visit: Visit) -> None:
    """From the table of the versions that served."""
    visit.open("/trust")
    link = visit.page.get_by_role("region", name="Versions").get_by_role("link").first
    version = link.inner_text()
    link.click()
    assert visit.title().endswith(f"version {version}"), visit.title()
    visit.page.locator("a[href$='/trust']").first.click()
    assert visit.title() == "Can we trust it?"


# Tasks on the pages of the features


@task
def find_a_feature_and_read_its_sql(visit: Visit) -> None:
    """From the menu, by a word of what it is; the page of one has pictures of its weeks, and the SQL."""
    visit.open()
    visit.page.get_by_role("link", name="Features").click()
    assert visit.title() == "Features"
    everything = visit.rows("The features").count()
    visit.page.get_by_label("Name, words or table").fill("gap")
    visit.page.get_by_role("button", name="Show").click()
    visit.page.wait_for_url("**find=gap**")
    assert 0 < visit.rows("The features").count() < everything
    visit.page.get_by_role("link", name="gap_median_days", exact=False).first.click()
    for heading in ("What it is", "Who uses it", "How it does", "What defines it"):
        expect(visit.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert "gap_median_days" in visit.page.get_by_role("region", name="The SQL").inner_text()


@task
def sort_the_features_by_what_moves_the_model(visit: Visit) -> None:
    """The first in that order has place 1; then those that are nearest to their bound of drift."""
    visit.open("/features")
    visit.page.get_by_label("Order").select_option("lapse")
    visit.page.get_by_role("button", name="Show").click()
    visit.page.wait_for_url("**order=lapse**")
    assert visit.column("Place for lapse", "The features")[:3] == ["1", "2", "3"]
    visit.page.get_by_label("Order").select_option("drift")
    visit.page.get_by_role("button", name="Show").click()
    visit.page.wait_for_url("**order=drift**")


# Every page by keyboard alone


def press_until(visit: Visit, reached: str, most: int = 40) -> None:
    """Press the tabulator until an element that fits is focused, and seen to be."""
    for _ in range(most):
        visit.page.keyboard.press("Tab")
        at = visit.page.locator(":focus")
        if at.count() and at.evaluate("(one, reached) => one.matches(reached)", reached):
            outline = at.evaluate("one => getComputedStyle(one).outlineStyle")
            assert outline != "none", f"{reached} has the focus, and nobody sees it"
            return
    raise AssertionError(f"{reached} is not reached within {most} steps")


@task
def do_it_all_by_keyboard(visit: Visit) -> None:
    """Skip the menu, find, sort, download, open a customer, and go to trust and card, without a mouse."""
    press = visit.page.keyboard.press
    visit.open()
    press_until(visit, "a.skip", most=1)
    press("Enter")
    press_until(visit, "#find")
    visit.page.keyboard.type(visit.facts["first"])
    press("Enter")
    visit.page.wait_for_url("**find=**")
    assert visit.facts["first"] in visit.column("Customer")
    press_until(visit, "#order")
    press("ArrowDown")
    press_until(visit, "form.filter button", most=3)
    press("Enter")
    visit.page.wait_for_url("**order=**")
    with visit.page.expect_download():
        press_until(visit, "a[download]")
        press("Enter")
    # A wide table is scrolled by the arrows, once it has the focus.
    press_until(visit, ".wide", most=3)
    press_until(visit, "th.id a", most=3)
    press("Enter")
    visit.page.wait_for_url("**/customer?**")
    assert visit.title().startswith("Customer ")
    press_until(visit, "nav a[href$='/trust']")
    press("Enter")
    visit.page.wait_for_url("**/trust")
    press_until(visit, "nav a[href$='/features']")
    press("Enter")
    visit.page.wait_for_url("**/features")
    press_until(visit, "th.day a")
    press("Enter")
    visit.page.wait_for_url("**/feature?**")
    # The SQL is wider than a phone: it is scrolled by the arrows, too.
    press_until(visit, "[aria-label='The SQL']")
    press_until(visit, "nav a[href$='/card']")
    press("Enter")
    visit.page.wait_for_url("**/card")
