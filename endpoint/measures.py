"""What the endpoint counts, in Prometheus' text format."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from endpoint.held import Keeper

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Measures:
    """Counters of one endpoint; the gauges tell what it holds at the moment when they are asked for."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, keeper: Keeper, now: Callable[[], datetime]) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter("baton_requests", "Requests answered.", ("route", "status"), registry=self.registry)
        self._seconds = Histogram(
            "baton_request_seconds", "From request to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self._rows = Counter("baton_vectors", "Vectors that came to be scored.", ("outcome",), registry=self.registry)
        held = {
            "baton_model_version": ("The version that serves.", lambda: _of(keeper, "version")),
            "baton_scored_customers": ("Customers whose score can be looked up.", lambda: _customers(keeper)),
            "baton_features_age_days": ("Days since the newest scored cutoff.", lambda: _age(keeper, now)),
            "baton_published_timestamp_seconds": ("When it was published.", lambda: _published(keeper)),
            "baton_reloads": ("Publications taken over.", lambda: float(keeper.reloads)),
            "baton_in_trouble": (
                "1: what was published, or its model, cannot be read.",
                lambda: float(bool(keeper.said)),
            ),
        }
        for name, (about, read) in held.items():
            Gauge(name, about, registry=self.registry).set_function(read)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._answers.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def rows(self, scored: int, refused: int) -> None:
        """Count vectors."""
        self._rows.labels("scored").inc(scored)
        self._rows.labels("refused").inc(refused)

    def text(self) -> bytes:
        """Return all of it."""
        return generate_latest(self.registry)


def _of(keeper: Keeper, name: str) -> float:
    found = getattr(keeper.held.scores, name) if keeper.held else None
    return float("nan") if found is None else float(found)


def _customers(keeper: Keeper) -> float:
    return float(len(keeper.held.scores.places)) if keeper.held else 0.0


def _age(keeper: Keeper, now: Callable[[], datetime]) -> float:
    cutoff = keeper.held.scores.cutoff if keeper.held else None
    return float("nan") if cutoff is None else float((now().date() - cutoff).days)


def _published(keeper: Keeper) -> float:
    return keeper.held.scores.published_at.timestamp() if keeper.held else float("nan")
