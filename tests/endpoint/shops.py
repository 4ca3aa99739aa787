"""A home whose serving copy and registry a test changes as runs would, and its endpoint on loopback."""

import contextlib
import json
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import uvicorn
from starlette.testclient import TestClient
from support.bundled import CATALOGUE, FEATURES, PROBLEM
from support.simulated_shop import make_frame

from endpoint.api import Settings, make_endpoint
from endpoint.held import Keeper
from ml_models.explain import reference_values
from ml_models.problems.lapse.rules import rules_of
from resources.registry import RegistryError
from resources.registry_apart import ReadVersion
from resources.serving_copy import FILE, LAYOUT, Part, publish
from resources.warehouse import DuckDBWarehouse
from steps.what_if import Models
from tools.postgres import free_port

NOW = datetime(2017, 4, 13, 12, tzinfo=UTC)
PARTS = [Part("predictions", "lapse_predictions"), Part("training", "champion"), Part("features", "feature_frame")]
RULES = rules_of(CATALOGUE, PROBLEM.question)


class Shop:
    """A home whose serving copy and registry a test changes as runs would."""

    def __init__(self, folder, frame, pipelines):
        self.frame, self.pipelines, self.now = frame, pipelines, NOW
        self.warehouse = DuckDBWarehouse(path=str(folder / "warehouse.duckdb"))
        self.newest = frame[frame["cutoff_date"] == frame["cutoff_date"].max()].reset_index(drop=True)
        self.lost: set[int] = set()
        self.said: list[str] = []
        self.keeper = Keeper(folder / FILE, "lapse", Models(self.read, clock=lambda: 0.0), self.said.append)

    def read(self, number):
        if number in self.lost:
            raise RegistryError(f"Expected the files of version {number}, and they are gone.")
        reference = reference_values(self.frame[FEATURES], PROBLEM).assign(
            least=self.frame[FEATURES].min(), most=self.frame[FEATURES].max()
        )
        return ReadVersion(SimpleNamespace(version=number), self.pipelines[number], reference.to_csv())

    def scored(self, number):
        return dict(
            zip(
                self.newest["customer_id"],
                self.pipelines[number].predict_proba(self.newest[FEATURES])[:, 1],
                strict=True,
            )
        )

    def promote(self, number):
        """Score the newest cutoff by a version and publish it."""
        scores = self.newest[["customer_id", "cutoff_date"]].assign(
            score=self.scored(number).values(),
            model_version=number,
            trained_through=pd.Timestamp("2017-03-27"),
            reason_1="away for long",
            reason_2=None,
            reason_3=None,
        )
        promoted = {"model_version": number, "trained_through": pd.Timestamp("2017-03-27")}
        self.warehouse.replace_table("predictions", "lapse_predictions", scores)
        self.warehouse.replace_table(
            "training",
            "champion",
            pd.DataFrame([{**promoted, "promoted_at": pd.Timestamp(number, unit="D", tz="UTC")}]),
        )
        self.warehouse.replace_table("features", "feature_frame", self.newest.drop(columns="lapsed"))
        self.publish(number)

    def publish(self, number):
        publish(self.warehouse, "lapse", PARTS, lambda *_: pd.DataFrame([self.about(number)]))

    def about(self, number):
        return {
            "layout": LAYOUT,
            "published_at": pd.Timestamp("2017-04-10 06:00", tz="UTC"),
            "problem": "lapse",
            "newest_cutoff": self.newest["cutoff_date"].iloc[0],
            "champion_version": number,
        }

    def settings(self, **other):
        return Settings(**{"problem": PROBLEM, "rules": RULES, "now": lambda: self.now, **other})

    def client(self, **other):
        return TestClient(make_endpoint(self.keeper, self.settings(**other)))


@contextlib.contextmanager
def serving(shop):
    """The endpoint on loopback, as `make serve` runs it; yields its port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(make_endpoint(shop.keeper, shop.settings()), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield port
    finally:
        server.should_exit = True
        thread.join()


def serve_home(folder, port):
    """Serve the home in a folder from a process of its own, as `make serve` does, until it is killed."""
    frame = make_frame(customers=300, cutoffs=3)
    shop = Shop(folder, frame, fitted(frame))
    uvicorn.run(make_endpoint(shop.keeper, shop.settings()), port=port, log_level="warning", access_log=False)


def fitted(frame):
    """Two versions of a model; the same in each process."""
    logistic = next(one for one in PROBLEM.candidates if one.name == "logistic")
    return {
        number: logistic.build({"C": c}, 0).fit(frame[FEATURES], frame["lapsed"]) for number, c in ((1, 0.1), (2, 10.0))
    }


def vectors(frame):
    return json.loads(frame[["customer_id", *FEATURES]].to_json(orient="records", double_precision=15))
