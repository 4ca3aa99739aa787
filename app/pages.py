"""The pages for people who use the predictions: whom to call, one customer, whether it can be trusted, the features.

They read the serving copy, so no run waits for them and they wait for none. What a model would say of somebody who is
not quite so needs the model itself: the versions come from the registry, in the background. Plain HTML and forms: a
page needs no script, and the policy of all but one lets none run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from app.charts import Chart, Curve, Point, chart
from app.features import feature_list, one_feature
from app.headers import WITH_OUR_SCRIPT, SafeHeaders, with_its_style
from app.what_if import WhatIfs
from ml_models.model_card.card import from_json
from ml_models.model_card.rendering import to_html
from resources.warehouse import WarehouseBusyError, WarehouseError
from steps.people import words
from steps.people.call_list import csv_of
from steps.people.copy import BANDS, ROWS_A_PAGE, Asked, Copy, Row, opened
from steps.people.week import environment, this_week
from steps.what_if import Models

HERE = Path(__file__).parent

NO_NOISE = dict.fromkeys(f"spend_covered_by_{way}_{end}" for way in ("loss", "risk") for end in ("low", "high"))
"""For a copy of a release that did not tell the intervals."""


@dataclass(frozen=True)
class Reader:
    """Whose pages these are: the copy, the company's name and currency, what is asked in days, and what time it is.

    `models` are the versions that can be asked what they would say; None where no registry is at hand.
    """

    file: Path
    title: str
    currency: str
    horizon_days: int
    look_back_days: int
    now: Callable[[], datetime]
    models: Models | None = None


def begin(reader: Reader) -> None:
    """Have the serving version read in the background, so that it is there when the first customer is opened."""
    with suppress(WarehouseError), opened(reader.file, reader.look_back_days) as copy:
        number = copy.about()["champion_version"]
        if reader.models and number is not None:
            reader.models.ask(int(number))


def make_app(reader: Reader, hosts: Sequence[str] = ("127.0.0.1", "localhost")) -> ASGIApp:
    """Return the pages as an ASGI application that answers to these host names only.

    A page elsewhere could otherwise let a name of its own point here, and read customers in somebody's browser.
    """
    pages = _Pages(reader)
    application = Starlette(
        routes=[
            Route("/", pages.this_week),
            Route("/call_list.csv", pages.call_list),
            Route("/customer", pages.customer),
            Route("/trust", pages.trust),
            Route("/card", pages.card),
            Route("/features", pages.features),
            Route("/feature", pages.feature),
            # The card is a page of its own that names no icon, and browsers look for one here.
            Route("/favicon.ico", pages.icon),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={
            HTTPException: pages.refused,
            WarehouseError: pages.nothing_to_read,
            500: pages.broken,
        },
    )
    # Around all of it: Starlette answers a defect outside of its middleware.
    return SafeHeaders(application)


class _Pages:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.what_ifs = WhatIfs(reader.models, reader.currency) if reader.models else None
        self.templates = environment(reader.currency, HERE / "templates")
        self.templates.globals |= {"reader": reader, "address": _address, "enough": words.ENOUGH}

    def this_week(self, request: Request) -> Response:
        """Answer with the decision, how fresh and how sure it is, and whom to call."""
        with self._opened() as copy:
            asked, wrong = _asked(request, copy)
            rows, found = copy.at_risk(asked)
            status = 400 if wrong else 200
            pages = max(1, -(-found // ROWS_A_PAGE))
            if asked.page > pages:
                wrong = [*wrong, f"There is no page {asked.page}: the list has {pages} now. This is the last one."]
                asked, status = replace(asked, page=pages), 404
                rows, found = copy.at_risk(asked)
            return self._page(
                request,
                "this_week.html",
                status=status,
                **this_week(copy, self.reader.now()),
                asked=asked,
                wrong=wrong,
                rows=rows,
                found=found,
                kept_back=copy.kept_back(asked),
                pages=pages,
                orders=copy.orders(),
                bands=words.BAND_WORDS,
                columns=copy.columns("marts.customers_at_risk"),
                spend=copy.spend,
            )

    def call_list(self, request: Request) -> Response:
        """Answer with all customers that the list on the page has, as a file for a spreadsheet."""
        with ExitStack() as stack:
            copy = stack.enter_context(self._opened())
            asked, wrong = _asked(request, copy)
            if wrong:
                raise HTTPException(400, " ".join(wrong))
            newest = copy.about()["newest_cutoff"]
            # The answer goes on after this function has returned, and the copy stays open for it.
            text = _csv(copy, asked, stack.pop_all())
        name = f"call_list_{newest:%Y-%m-%d}.csv" if newest else "call_list.csv"
        return StreamingResponse(
            text,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def customer(self, request: Request) -> Response:
        """Answer with what is known of a customer, and how the score came about over time."""
        customer_id = request.query_params.get("id", "")
        with self._opened() as copy:
            found = copy.customer(customer_id) if customer_id else None
            if found is None:
                said = f"There is no customer {customer_id!r}." if customer_id else "No customer was named."
                raise HTTPException(404, f"{said} Look for one in the list of this week.")
            known, weeks = found
            scores = [Point(week["cutoff_date"], week["score"]) for week in reversed(weeks)]
            what_if = self.what_ifs.shown(request.query_params, copy, customer_id) if self.what_ifs else None
            return self._page(
                request,
                "customer.html",
                status=400 if what_if and what_if.wrong else 200,
                headers=WITH_OUR_SCRIPT,
                what_if=what_if,
                query=request.url.query,
                customer_id=customer_id,
                known=known,
                weeks=weeks,
                next_products=copy.next_products(customer_id),
                spend=copy.spend,
                picture=chart(
                    "score",
                    "Chance to stay away, by week",
                    f"In percent, for the {self.reader.horizon_days} days after each Monday.",
                    [Curve("chance to stay away", "live", scores)],
                ),
            )

    def trust(self, request: Request) -> Response:
        """Answer with how predictions held, for whom, and what went wrong when."""
        with self._opened() as copy:
            accuracy, weeks = copy.accuracy(), copy.weeks()
            return self._page(
                request,
                "trust.html",
                about=copy.about(),
                accuracy=accuracy[::-1],
                live=sum(row["evidence"] == "live" for row in accuracy),
                ranked=_ranked(accuracy),
                expected=_expected(accuracy),
                covered=_covered(accuracy),
                worth=copy.spend_accuracy(),
                in_money=[{**NO_NOISE, **row} for row in accuracy[::-1] if row.get("spend_lost") is not None],
                slices=_by_kind(copy.slices(), self.reader.look_back_days),
                weeks=[(week, words.decision(week)) for week in weeks if _is_told(week)],
                judged=len(weeks),
                champions=copy.champions(),
                cards=copy.cards(),
                campaign=copy.campaign(),
                effect=copy.effect(),
            )

    def card(self, request: Request) -> Response:
        """Answer with a version's card, or with that of the version that serves."""
        asked = request.query_params.get("version", "")
        with self._opened() as copy:
            cards, serving = copy.cards(), copy.about()["champion_version"]
            if not cards:
                raise HTTPException(404, "No version of the model has a card yet. The first training writes one.")
            number = asked or str(serving if serving in cards else cards[0])
            if number not in map(str, cards):
                there = ", ".join(map(str, cards))
                raise HTTPException(404, f"There is no card of version {number!r}: there are {there}.")
            text = copy.card(int(number))
        try:
            card = from_json(text)
        except ValueError as error:
            raise HTTPException(404, f"The card of version {number} cannot be shown: {error}.") from error
        html = to_html(card, back=f"{request.scope.get('root_path', '')}/trust")
        return HTMLResponse(html, headers=with_its_style(html))

    def features(self, request: Request) -> Response:
        """Answer with the features that the models are fed, as a person asked for them."""
        with self._opened() as copy:
            status, shown = feature_list(copy, request.query_params)
        return self._page(request, "features.html", status=status, **shown)

    def feature(self, request: Request) -> Response:
        """Answer with what is known of one feature."""
        name = request.query_params.get("name", "")
        with self._opened() as copy:
            shown = one_feature(copy, name)
        if shown is None:
            said = f"There is no feature {name!r}." if name else "No feature was named."
            raise HTTPException(404, f"{said} Look for one in the list of the features.")
        return self._page(request, "feature.html", **shown)

    def icon(self, _: Request) -> Response:
        """Answer with the icon of the pages."""
        return FileResponse(HERE / "static" / "icon.svg")

    def refused(self, request: Request, error: Exception) -> Response:
        """Answer where a page, or what it is about, is not there."""
        assert isinstance(error, HTTPException)
        titles = {404: "Not found", 405: "Not possible", 400: "Not understood"}
        says = (
            error.detail
            if error.detail not in ("Not Found", "Method Not Allowed")
            else ("There is no such page." if error.status_code == 404 else "Pages here can be read, and nothing else.")
        )
        return self._trouble(request, error.status_code, titles.get(error.status_code, "Not answered"), says)

    def nothing_to_read(self, request: Request, error: Exception) -> Response:
        """Answer where there is no serving copy, or none that this baton reads."""
        title = "One moment" if isinstance(error, WarehouseBusyError) else "Nothing to show yet"
        return self._trouble(request, 503, title, str(error))

    def broken(self, request: Request, _: Exception) -> Response:
        """Answer where a page has a defect; the server's log holds what whoever mends it needs."""
        return self._trouble(
            request,
            500,
            "This page is broken",
            "That is a defect of the page, and nothing was changed. The terminal of `make app` shows what happened: "
            "show it to the team that runs the model. The other pages go on.",
        )

    def _opened(self) -> AbstractContextManager[Copy]:
        return opened(self.reader.file, self.reader.look_back_days)

    def _trouble(self, request: Request, status: int, title: str, says: str) -> Response:
        return self._page(request, "trouble.html", status=status, heading=title, says=says)

    def _page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **shown: object,
    ) -> Response:
        shown |= {"root": request.scope.get("root_path", ""), "path": request.url.path}
        return HTMLResponse(self.templates.get_template(template).render(shown), status, headers)


def _asked(request: Request, copy: Copy) -> tuple[Asked, list[str]]:
    """Return what a person asks of the list, and a sentence for each part that cannot be understood."""
    given, wrong = request.query_params, []
    band, order, page = given.get("band", ""), given.get("order", ""), given.get("page", "1")
    if band and band not in BANDS:
        wrong.append(f"The risk is one of {', '.join(BANDS)}, and {band!r} was asked for: all are shown.")
        band = ""
    orders = [one.name for one in copy.orders()]
    if order and order not in orders and orders:
        wrong.append(f"The order is one of {', '.join(orders)}, and {order!r} was asked for: this is the usual one.")
        order = ""
    # Digits of ASCII only, and no more than a whole number of the database holds.
    if not (page.isascii() and page.isdigit() and len(page) < 10 and int(page)):
        wrong.append(f"A page is a number from 1 on, and {page!r} was asked for: this is the first one.")
        page = "1"
    return Asked(given.get("find", "").strip(), band, order, int(page)), wrong


def _address(root: str, path: str, asked: Asked, page: int = 1) -> str:
    """Return the address of a list as a person asked for it, at another page."""
    query = {"find": asked.find, "band": asked.band, "order": asked.order, "page": page if page > 1 else ""}
    chosen = {name: value for name, value in query.items() if value}
    return f"{root}{path}" + (f"?{urlencode(chosen)}" if chosen else "")


def _csv(copy: Copy, asked: Asked, held: ExitStack) -> Iterator[bytes]:
    """Yield the file piece by piece, and let go of what is held for it."""
    with held:
        yield from csv_of(copy.list_columns(), copy.all_at_risk(asked))


def _curve(label: str, drawn: str, rows: Sequence[Row], column: str) -> Curve:
    return Curve(label, drawn, [Point(row["cutoff_date"], row[column]) for row in rows])


def _ranked(accuracy: Sequence[Row]) -> Chart | None:
    live = [row for row in accuracy if row["evidence"] == "live"]
    tested = [row for row in accuracy if row["evidence"] == "holdout"]
    return chart(
        "ranked",
        "Does it put the right customers first?",
        "Of a hundred pairs, in how many the one who stayed away stood higher. 50 is chance.",
        [
            _curve("predictions that served", "live", live, "auc"),
            _curve("test weeks before the model served", "tested", tested, "auc"),
            _curve("the simple rule: longest away first", "rule", _one_a_week(tested, live), "recency_rule_auc"),
        ],
        least=0.5,
    )


def _one_a_week(tested: Sequence[Row], live: Sequence[Row]) -> list[Row]:
    weeks = {row["cutoff_date"]: row for row in (*tested, *live)}
    return [weeks[week] for week in sorted(weeks)]


def _expected(accuracy: Sequence[Row]) -> Chart | None:
    live = [row for row in accuracy if row["evidence"] == "live"]
    rows = live or accuracy
    return chart(
        "expected",
        "Do as many stay away as it says?",
        "Of a hundred customers, how many were expected to stay away and how many did"
        + ("." if live else ", in test weeks before the model served."),
        [_curve("expected", "expected", rows, "mean_score"), _curve("happened", "happened", rows, "base_rate")],
    )


def _covered(accuracy: Sequence[Row]) -> Chart | None:
    rows = [row for row in accuracy if row["evidence"] == "live"] or list(accuracy)
    rows = [row for row in rows if row.get("spend_covered_by_loss") is not None and row["lapsed"] >= words.ENOUGH]
    return chart(
        "covered",
        "Does the list reach the money?",
        "Of a hundred of the currency that were lost, how many a call to one customer in ten would have reached.",
        [
            _curve("called by expected loss", "live", rows, "spend_covered_by_loss"),
            _curve("called by risk alone", "tested", rows, "spend_covered_by_risk"),
        ],
    )


def _by_kind(slices: Sequence[Row], look_back: int) -> Mapping[str, list[Row]]:
    """Return the judged slices by what people call their kind, in the order in which they are recorded."""
    kinds: dict[str, list[Row]] = {}
    for row in slices:
        kinds.setdefault(words.slice_title(row["slice_name"], look_back), []).append(row)
    return kinds


def _is_told(week: Row) -> bool:
    return bool(week["decision"] != "continue" or week.get("restated") or week.get("week_released"))
