"""The pipeline on other rows: dbt's own compiled SQL over perturbed tables, in memory, the warehouse only read.

"What would the features be if a third of the stores had not been loaded?" is answered by the SQL that production
runs, not by a second implementation of it. A drill asks it to inject faults, attribution to re-enact what quality saw,
and the as-of audit to build a cutoff again from what was reported by then. What a perturbation does to rows is told in
`ml_models.faults`; here belongs how the pipeline runs on them.

What is built is decided by what is asked for: with `cutoffs` only the days that those cutoffs can see are read.
"""

import contextlib
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_models.faults import check, depends_on_when, perturbed_sql
from ml_models.monitoring.types import Perturbation
from resources.column_lineage import ColumnLineage
from resources.compiled_models import Model, compiled_models, look_backs, looks_ahead
from resources.dbt import DbtRunner
from resources.ingestions import TABLE as INGESTIONS
from resources.ingestions import rows_as_of
from resources.private_folder import scratch_folder
from resources.tables.forms import forms_of
from resources.tables.times import stored_time
from resources.warehouse import WarehouseBusyError, WarehouseError, quoted
from resources.warehouse.duckdb import unreadable

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

SPINE = "features/cutoffs"
FEATURES = "features/customer_features"
_ORIGIN = "origin"
_STEPS = "steps"


class SandboxError(RuntimeError):
    """A table could not be built from the perturbed rows; the message names it and says why. `asset` is the table."""

    def __init__(self, asset: str, reason: str) -> None:
        # Both as arguments, so that the error can cross a process's border.
        super().__init__(asset, reason)
        self.asset = asset
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.asset} cannot be built in the sandbox: {self.reason}"


@dataclass
class Scenario:
    """Relations as they would be: `raw.*`, `staging.*`, `marts.*`, `features.*`, `outcomes.*`."""

    connection: "duckdb.DuckDBPyConnection"

    def read(self, sql: str) -> "pd.DataFrame":
        """Return the rows of a query as a DataFrame with lower-case column names."""
        frame = self.connection.execute(sql).fetchdf()
        frame.columns = frame.columns.str.lower()
        return frame

    def exists(self, asset: str) -> bool:
        """Tell whether a table was built (or is there to be read) in this scenario."""
        schema, _, name = asset.partition("/")
        found = self.connection.execute(
            "select 1 from duckdb_tables() where database_name = 'memory' and schema_name = ? and table_name = ? "
            "union all "
            "select 1 from duckdb_views() where database_name = 'memory' and schema_name = ? and view_name = ?",
            [schema, name, schema, name],
        ).fetchall()
        return bool(found)


@dataclass
class Sandbox:
    """Builds scenarios from one warehouse file; see `scenario`.

    `times` says for tables (asset -> SQL expression for a row's local time) what the column types do not: by default
    the first timestamp or date column of a raw table counts, taken as UTC unless it only ever holds midnights.
    `delivered_as_recorded`: a perturbed row is not there before the time that was recorded for it, whatever time the
    perturbation gives it. So it is where perturbed rows are wrong; where they are what happened, their time is true.
    """

    dbt: DbtRunner
    warehouse_path: str
    times: Mapping[str, str] = field(default_factory=dict)
    threads: int = 2
    memory_limit: str = "2GB"
    wait_seconds: float = 60.0
    delivered_as_recorded: bool = False
    _models: list[Model] | None = None
    _columns: ColumnLineage | None = None
    _settings: dict[str, Any] | None = None

    @contextlib.contextmanager
    def scenario(
        self,
        perturbations: Sequence[Perturbation] = (),
        first_day: date | None = None,
        cutoffs: Sequence[date] | None = None,
        customers: int | None = None,
        until: date | None = None,
        build: Sequence[str] | None = None,
        as_of: date | None = None,
        days_after: int = 0,
    ) -> Iterator[Scenario]:
        """Open a scenario in which `perturbations` happened, in this order.

        Keep it open briefly: meanwhile the warehouse file cannot be opened for writing.

        Args:
            perturbations: of raw tables, of models' results, or (`edit_model`) of models' SQL.
            first_day: events before this day are left out; by default, with `cutoffs`, the first day that one of
                them looks back to.
            cutoffs: build these cutoffs only. Without `until` they are there whatever was delivered; with it only
                those that the rows delivered by then reach.
            customers: about this many entities, chosen by a hash of their identifier; default: all.
            until: only rows with a local time before this day are there.
            build: the assets that are wanted, with all that they are made of; default: every model that does not
                read predictions. Raw tables are there in any case.
            as_of: the morning on which one looks, by default `until`, or the only cutoff: late rows are still missing,
                and what changes as a whole (a table without a time, a schema, a model's SQL) is changed if that began
                by this day. Without any, all changes show.
            days_after: so many days from the last of `cutoffs` on are read too; models that look no further than their
                cutoff come out the same.

        Raises:
            SandboxError: a table cannot be built, or the perturbed text is not in the model.
            ValueError: a perturbation cannot be meant (see `ml_models.faults.perturbed_sql`).
        """
        import duckdb

        models = self._wanted(build)
        self._check_tables(perturbations)
        as_of = as_of or until or (cutoffs[0] if cutoffs and len(cutoffs) == 1 else None)
        with scratch_folder("baton-replay-") as spill, duckdb.connect(":memory:") as connection:
            connection.execute(f"set threads = {self.threads}; set memory_limit = '{self.memory_limit}'")
            # By default the present folder, which may be the project's own, or read-only.
            connection.execute("set temp_directory = '{}'".format(str(spill).replace("'", "''")))
            connection.execute("set preserve_insertion_order = false; set enable_progress_bar = false")
            self._attach(connection)
            # Perturbations of models may read what the models are made of several times.
            once = build is not None and len(build) == 1 and all(it.table.startswith("raw/") for it in perturbations)
            made = _Building(
                self, connection, tuple(perturbations), as_of, until, tuple(cutoffs or ()), customers, once
            )
            made.reach(first_day, days_after, models)
            made.raw()
            for model in models:
                made.model(model)
            yield Scenario(connection)

    def features(
        self,
        perturbations: Sequence[Perturbation],
        cutoff: date,
        customers: int | None = None,
        as_of: date | None = None,
        days_after: int = 0,
    ) -> "pd.DataFrame":
        """Return the feature rows of one cutoff; `cutoff_date` as datetime64[us].

        They are made of the rows before it, and of those of the `days_after` it where that is asked for.
        """
        with self.scenario(
            perturbations, cutoffs=[cutoff], customers=customers, build=[FEATURES], as_of=as_of, days_after=days_after
        ) as made:
            frame = made.read("select * from features.customer_features")
        frame["cutoff_date"] = frame["cutoff_date"].astype("datetime64[us]")
        return frame

    def assets(self) -> list[str]:
        """Return the models that can be built, parents first."""
        return [model.asset for model in self._compiled()]

    def lineage(self) -> dict[str, tuple[str, ...]]:
        """Return what each raw table and model reads, by asset; raw tables read nothing."""
        models = self._compiled()
        sources = {source: () for model in models for source in model.sources}
        return {**sources, **{model.asset: (*model.parents, *model.sources) for model in models}}

    def made_of(self, asset: str, column: str) -> frozenset[str]:
        """Return all tables that a column of a model is made of, directly or not; see `resources.column_lineage`.

        Raises:
            SandboxError: the SQL cannot be followed.
        """
        from sqlglot.errors import SqlglotError

        if self._columns is None:
            self._columns = ColumnLineage(self._compiled(), self._stored_columns())
        try:
            return self._columns.made_of(asset, column)
        except SqlglotError as error:
            raise SandboxError(
                asset, f"what {column} is made of cannot be read: {' '.join(str(error).split())}"
            ) from error

    def _stored_columns(self) -> dict[str, dict[str, str]]:
        """Return the columns and types of every table of the warehouse, by asset."""
        import duckdb

        with duckdb.connect(":memory:") as connection:
            self._attach(connection)
            rows = connection.execute(
                "select schema_name || '/' || table_name, column_name, data_type from duckdb_columns() "
                f"where database_name = '{_ORIGIN}' and not internal order by all"
            ).fetchall()
        found: dict[str, dict[str, str]] = {}
        for asset, name, kind in rows:
            found.setdefault(asset, {})[name] = kind
        return found

    def setting(self, name: str) -> Any:
        """Return one of the dbt project's vars."""
        if self._settings is None:
            self._settings = self.dbt.variables()
        return self._settings[name]

    def _compiled(self) -> list[Model]:
        if self._models is None:
            self._models = compiled_models(self.dbt.ensure_compiled())
        return self._models

    def _wanted(self, build: Sequence[str] | None) -> list[Model]:
        models = self._compiled()
        if build is None:
            return models
        by_asset = {model.asset: model for model in models}
        for asset in build:
            if asset not in by_asset:
                raise SandboxError(asset, f"no such model. There are {', '.join(by_asset)}.")
        wanted, open_ = set(), list(build)
        while open_:
            asset = open_.pop()
            if asset not in wanted:
                wanted.add(asset)
                open_ += by_asset[asset].parents
        return [model for model in models if model.asset in wanted]

    def _check_tables(self, perturbations: Sequence[Perturbation]) -> None:
        known = set(self.assets())
        for perturbation in perturbations:
            check(perturbation)
            schema = perturbation.table.partition("/")[0]
            if perturbation.table not in known and (schema != "raw" or perturbation.operation == "edit_model"):
                raise SandboxError(
                    perturbation.table,
                    "it is neither a raw table nor a model that the features or the outcomes are made of; there are "
                    f"{', '.join(sorted(known))}.",
                )

    def _attach(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Attach the warehouse read-only, waiting while a writer holds it."""
        import duckdb

        if not Path(self.warehouse_path).exists():
            raise WarehouseError(
                f"Expected a warehouse file at {self.warehouse_path}, and there is none. Run `make run` to build it."
            )
        deadline = time.monotonic() + self.wait_seconds
        path = self.warehouse_path.replace("'", "''")
        while True:
            try:
                connection.execute(f"attach '{path}' as {_ORIGIN} (read_only)")
                return
            except duckdb.Error as error:
                busy = "lock" in str(error).lower() or "conflict" in str(error).lower()
                if not busy:
                    raise WarehouseError(unreadable(self.warehouse_path, error)) from error
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"Expected to read the warehouse {self.warehouse_path} within {self.wait_seconds:.0f} s, but "
                        "another program writes to it. Wait for it to end and try again; nothing was changed."
                    ) from error
                time.sleep(0.05 + random.random() * 0.2)


@dataclass
class _Building:
    """One scenario while it is being made."""

    sandbox: Sandbox
    connection: "duckdb.DuckDBPyConnection"
    perturbations: tuple[Perturbation, ...]
    as_of: date | None
    until: date | None
    cutoffs: tuple[date, ...]
    customers: int | None
    read_once: bool
    first_day: date | None = None
    end_day: date | None = None
    sample: str = ""

    def reach(self, first_day: date | None, days_after: int, models: Sequence[Model]) -> None:
        """Decide which days of events are read: [first_day, end_day)."""
        self.first_day = first_day
        if self.cutoffs:
            window, horizon = (int(self.sandbox.setting(name)) for name in ("window_days", "horizon_days"))
            ahead = max(days_after, horizon if looks_ahead(models) else 0)
            self.first_day = first_day or min(self.cutoffs) - timedelta(days=window * look_backs(models))
            self.end_day = max(self.cutoffs) + timedelta(days=ahead)
        if self.until and (self.end_day is None or self.until < self.end_day):
            self.end_day = self.until
        if self.customers is not None:
            entity = f"{self.sandbox.setting('entity')}_id"
            known = self.connection.execute(
                f"select count(distinct {quoted(entity)}) from {_ORIGIN}.features.customer_features"
            ).fetchall()[0][0]
            if known and self.customers < known:
                # A hash below a bound, not the n smallest: a perturbed identifier is in or out by itself.
                self.sample = f"hash(hash(cast({quoted(entity)} as varchar))) / 18446744073709551616.0 < " + repr(
                    self.customers / known
                )

    def raw(self) -> None:
        """Offer every raw table: views on the warehouse, perturbed where that is asked for."""
        tables = self.connection.execute(
            f"select table_name from duckdb_tables() where database_name = '{_ORIGIN}' and schema_name = 'raw' "
            f"union select view_name from duckdb_views() where database_name = '{_ORIGIN}' and schema_name = 'raw'"
        ).fetchall()
        self.connection.execute(f"create schema raw; create schema {_STEPS}")
        names = sorted(name for (name,) in tables if not name.startswith("_"))
        perturbed = list(dict.fromkeys(it.table for it in self.perturbations if it.table.startswith("raw/")))
        if strange := [asset for asset in perturbed if asset.removeprefix("raw/") not in names]:
            raise SandboxError(strange[0], f"there is no such raw table. There are {', '.join(names)}.")
        # Altered ones last: a predicate may look into another raw table.
        rows = rows_as_of(_ORIGIN, INGESTIONS in names, self.until, self.sandbox.setting("time_zone"))
        self.execute(f"raw/{INGESTIONS}", f"create view raw.{INGESTIONS} as {rows}")
        for name in [
            *(name for name in names if f"raw/{name}" not in perturbed and name != INGESTIONS),
            *(a.removeprefix("raw/") for a in perturbed),
        ]:
            self.raw_table(name)

    def raw_table(self, name: str) -> None:
        asset, relation = f"raw/{name}", f"{_ORIGIN}.raw.{quoted(name)}"
        column, local = self.time_of(asset, relation)
        changed = any(it.table == asset for it in self.perturbations)
        if changed and self.sandbox.delivered_as_recorded:
            there = self.delivered(relation, column, local)
            if there:
                before = f"{_STEPS}.{quoted(f'{asset}@delivered')}"
                self.execute(asset, f"create view {before} as select * from {relation} where {there}")
                relation = before
        relation = self.perturbed(asset, relation, local, column)
        wanted = []
        if column in self.columns(relation):
            # By the column itself, so that the storage can skip what is out of reach; a zone is less than a day away.
            if self.first_day and self.is_event_log(asset):
                wanted.append(f"{quoted(column)} >= {_day(self.first_day - timedelta(days=1))}")
            if self.end_day and (self.until or self.is_event_log(asset)):
                wanted.append(f"{quoted(column)} < {_day(self.end_day + timedelta(days=1))}")
        there = self.delivered(relation, column, local)
        wanted += [there] if there else []
        where = f" where {' and '.join(wanted)}" if wanted else ""
        # Perturbed rows may cost much (a hash of whole rows) and be read often (staging, each measure). What was only
        # filtered is as cheap as a table, and one wanted model reads its rows once.
        kind = "table" if changed and not self.read_once else "view"
        self.execute(asset, f"create {kind} raw.{quoted(name)} as select * from {relation}{where}")

    def delivered(self, relation: str, column: str, local: str) -> str:
        """Return the condition that a row's time lies before `until`; empty where all rows are there."""
        if not self.until or not local:
            return ""
        if column not in self.columns(relation):
            return f"coalesce({local} < {_day(self.until)}, true)"
        near = f"{quoted(column)} < {_day(self.until - timedelta(days=1))}"
        return f"({near} or {local} < {_day(self.until)})"

    def model(self, model: Model) -> None:
        """Build one model: as a table where dbt stores one, as a view where it does not."""
        if model.schema != "raw":
            self.connection.execute(f"create schema if not exists {quoted(model.schema)}")
        sql = self.edited(model)
        wanted = []
        if model.days:
            # The day column of the event log itself: days at the edges are whole.
            if self.first_day:
                wanted.append(f"{quoted(model.days)} >= {_day(self.first_day)}")
            if self.end_day:
                wanted.append(f"{quoted(model.days)} < {_day(self.end_day)}")
        changes = [it for it in self.perturbations if it.table == model.asset and it.operation != "edit_model"]
        relation = f"({sql}) as compiled"
        if changes or (self.sample and model.schema == "staging"):
            base = f"{_STEPS}.{quoted(model.schema + '__' + model.name)}"
            self.execute(model.asset, f"create view {base} as {sql}")
            entity = f"{self.sandbox.setting('entity')}_id"
            if self.sample and model.schema == "staging" and entity in self.columns(base):
                wanted.append(self.sample)
            relation = self.perturbed(model.asset, base, self.model_time(base), "")
        if model.asset == SPINE and self.cutoffs:
            relation = self.spine(relation)
        where = f" where {' and '.join(wanted)}" if wanted else ""
        kind = "table" if model.stored else "view"
        target = f"{quoted(model.schema)}.{quoted(model.name)}"
        self.execute(model.asset, f"create {kind} {target} as select * from {relation}{where}")

    def spine(self, relation: str) -> str:
        """Return the spine of the chosen cutoffs: those that were delivered, or simply all of them."""
        days = ", ".join(_day(cutoff) for cutoff in sorted(set(self.cutoffs)))
        if self.until:
            return f"(select * from {relation} where cutoff_date in ({days})) as chosen"
        horizon = int(self.sandbox.setting("horizon_days"))
        return (
            f"(select cutoff_date, cutoff_date + {horizon} as matured_on, watermark_date "
            f"from (select unnest([{days}]) as cutoff_date) cross join (select max(watermark_date) as watermark_date "
            f"from {relation})) as chosen"
        )

    def edited(self, model: Model) -> str:
        sql = model.sql
        for it in self.perturbations:
            if it.table != model.asset or it.operation != "edit_model" or not self.active(it, ""):
                continue
            edits = it.value if isinstance(it.value, (list, tuple)) else [it.value]
            for edit in edits:
                if edit["find"] not in sql:
                    raise SandboxError(
                        model.asset,
                        f"its compiled SQL does not hold the text {edit['find']!r}. Copy the text as it stands in "
                        "the compiled model (dbt's target folder).",
                    )
                sql = sql.replace(edit["find"], edit["replace"])
        return sql

    def perturbed(self, asset: str, relation: str, local: str, column: str) -> str:
        """Apply a table's perturbations one after the other; return the last relation."""
        step = 0
        for it in self.perturbations:
            if it.table != asset or it.operation == "edit_model":
                continue
            if it.operation == "delay" and self.as_of is None:
                raise SandboxError(asset, "rows arrive late, so it matters when one looks: give `until`.")
            if not self.active(it, local):
                continue
            step += 1
            # A column of the time may itself be gone by now: then only the whole table can be changed.
            there = self.columns(relation)
            clock = local if not column or column in there else ""
            # By now it may hold text.
            is_time = there.get(column, "").startswith(("TIMESTAMP", "DATE")) and column in clock
            near, forms = column if is_time else "", forms_of(asset, there)
            sql = perturbed_sql(it, there, clock, relation, self.as_of, forms, near)
            if step > 1 and sql.count(relation) > 1:
                # Read twice by each of n steps it would be computed 2^n times.
                stored = f"{_STEPS}.{quoted(f'{asset}@{step} before')}"
                self.execute(asset, f"create table {stored} as select * from {relation}")
                sql = perturbed_sql(it, there, clock, stored, self.as_of, forms, near)
            relation = f"{_STEPS}.{quoted(f'{asset}@{step}')}"
            self.execute(asset, f"create view {relation} as {sql}")
        return relation

    def active(self, it: Perturbation, local: str) -> bool:
        """Tell whether a change of a whole table shows when one looks: it began before, and has not ended."""
        if self.as_of is None or it.operation == "delay" or not depends_on_when(it, local):
            return True
        # What is delivered on the morning of first_day is seen on that morning.
        began = it.first_day is None or it.first_day <= self.as_of
        return began and (it.last_day is None or self.as_of <= it.last_day)

    def is_event_log(self, asset: str) -> bool:
        """Tell whether a raw table feeds a model that is kept day by day: only then are old days out of reach."""
        return any(model.days and asset in model.sources for model in self.sandbox._compiled())

    def time_of(self, asset: str, relation: str) -> tuple[str, str]:
        """Return a raw table's time column and the expression for the local time of a row ("": it has none)."""
        if (declared := stored_time(asset, self.columns(relation))) is not None:
            return declared
        column = next(
            (
                name
                for name, kind in self.columns(relation).items()
                if kind.startswith(("TIMESTAMP", "DATE")) and not name.startswith("_")
            ),
            "",
        )
        if asset in self.sandbox.times:
            return column, self.sandbox.times[asset]
        if not column:
            return "", ""
        kind, zone = self.columns(relation)[column], self.sandbox.setting("time_zone")
        if kind.startswith("TIMESTAMP WITH TIME ZONE"):
            return column, f"timezone('{zone}', {quoted(column)})"
        days_only = self.connection.execute(
            f"select coalesce(bool_and({quoted(column)} = date_trunc('day', {quoted(column)})), true) "
            f"from (select {quoted(column)} from {relation} limit 20000)"
        ).fetchall()[0][0]
        # Midnights are calendar days: no clock and so no zone is meant.
        return column, quoted(column) if days_only else f"timezone('{zone}', timezone('UTC', {quoted(column)}))"

    def model_time(self, relation: str) -> str:
        """Return a model's time: its timestamps are local already."""
        kinds = self.columns(relation)
        for wanted in ("TIMESTAMP", "DATE"):
            for name, kind in kinds.items():
                if kind in (wanted, f"{wanted}_NS"):
                    return quoted(name)
        return ""

    def columns(self, relation: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self.connection.execute(f"describe select * from {relation}").fetchall()}

    def execute(self, asset: str, sql: str) -> None:
        import duckdb

        try:
            self.connection.execute(sql)
        except duckdb.Error as error:
            raise SandboxError(asset, " ".join(str(error).split("\n\nLINE")[0].split())[:400]) from error


def _day(day: date) -> str:
    return f"date '{day.isoformat()}'"
