"""The warehouse contract on BigQuery: one project, a dataset for each schema.

Writes are atomic by what BigQuery documents: a load job that truncates replaces a table in one step when it succeeds;
`merge … on false` replaces rows in one statement. Rows on their way into a merge wait in a staging dataset that nobody
reads, and expire there by themselves if a process dies.
"""

import contextlib
import io
import threading
import uuid
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import dagster as dg
from pydantic import PrivateAttr

from resources.labels import run_labels
from resources.warehouse.arrow import arrow_of
from resources.warehouse.bigquery.charges import Charges
from resources.warehouse.bigquery.descriptions import source_of
from resources.warehouse.bigquery.errors import UNCHANGED, ChangedTableError, in_sentences, is_conflict
from resources.warehouse.bigquery.jobs import CANCELLING_SECONDS, REQUEST_SECONDS, UPLOAD_SECONDS, patience, run_to_end
from resources.warehouse.bigquery.statements import create_statement, load_config, merge_statement, table_of
from resources.warehouse.bigquery.types import (
    CONTRACT_NAMES,
    array_parameter,
    bigquery_type,
    current_type,
    frame_of,
    parameters_of,
    parquet_of,
    schema_of,
)
from resources.warehouse.contract import (
    LocalWarehouse,
    Shape,
    SourceTable,
    Warehouse,
    WarehouseError,
    lower_names,
    refuse_unexpected_values,
)
from resources.warehouse.parquet_buffer import Buffered, replace_by_buffer

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from ml_models.scoring_sql.compiler import DialectName

STAGING_DATASET = "baton_staging"

STAGED_FOR_MS = 3_600_000
"""What a killed process left in the staging dataset is deleted after an hour, by BigQuery."""

MERGES = 4
"""How often a replacement that another job disturbed is tried."""

GIB = 1024**3


class BigQueryWarehouse(Warehouse):
    """The warehouse contract on a project of BigQuery.

    `project` is billed and holds the datasets, `location` is where they are. `maximum_bytes_billed` is what one query
    may cost: beyond it BigQuery refuses before it starts. Credentials are Google's application default credentials.
    Requests that fail for a reason that passes are repeated for `wait_seconds`; a job that does not end within
    `job_seconds` is cancelled. Every job carries the labels `baton_run` and `baton_asset`. It is its own `Source` of a
    local copy: `tables`, `describe`, `arrow_batches` and `digest_of` are for that.
    """

    project: str
    location: str = "US"
    maximum_bytes_billed: int = 200 * GIB
    wait_seconds: float = 600.0
    job_seconds: float = 3600.0

    _charges: Charges = PrivateAttr(default_factory=Charges)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _datasets: set[str] = PrivateAttr(default_factory=set)
    _opened: Any = PrivateAttr(default_factory=lambda: contextlib.ExitStack())
    _kept: Any = PrivateAttr(default=None)

    @property
    def dialect(self) -> "DialectName":
        """Return `googlesql`."""
        return "googlesql"

    @property
    def bills_queries(self) -> bool:
        """Tell that each query is charged for, by the bytes that it scans."""
        return True

    @contextlib.contextmanager
    def connect(self, what: str = "connecting", *, unchanged: str = UNCHANGED) -> Iterator[Any]:
        """Yield a `google.cloud.bigquery.Client`; `what` is being done with it, for the message if it fails.

        Raises:
            WarehouseError: anything that BigQuery, the network or the credentials have against it, in a sentence.
        """
        with in_sentences(what, self.project, self.location, unchanged=unchanged):
            yield self._client()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Close the connection when Dagster is done with the resource."""
        self.close()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            self._opened.close()
            self._kept = None

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> "pd.DataFrame":
        """Return the rows of `sql` as a DataFrame with lower-case column names, through the Storage Read API.

        Raises:
            WarehouseError: the query is refused, too expensive or wrong; the message says why.
        """
        from resources.warehouse.bigquery.client import reading

        with self.connect(f"reading `{_short(sql)}`") as client:
            found = self._query(client, sql, parameters).to_arrow(**reading())
        return frame_of(found)

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Generator[pd.DataFrame, None, None]":
        """Yield the rows of `sql` piece by piece, as the Storage Read API streams them: memory stays flat."""
        import pyarrow as pa

        with contextlib.closing(self.arrow_batches(sql, parameters)) as batches:
            for batch in batches:
                yield frame_of(pa.Table.from_batches([batch]))

    def arrow_batches(self, sql: str, parameters: Sequence[Any] = ()) -> "Generator[pa.RecordBatch, None, None]":
        """Yield the rows of `sql` as `batches` does, with the types that BigQuery gives them."""
        from resources.warehouse.bigquery.client import reading

        with self.connect(f"reading `{_short(sql)}`") as client:
            storage = reading().get("bqstorage_client")
            rows = self._query(client, sql, parameters)
            if storage is None and reading()["create_bqstorage_client"]:
                storage = client._ensure_bqstorage_client()
            yield from rows.to_arrow_iterable(bqstorage_client=storage)

    def execute(self, sql: str, parameters: Sequence[Any] = (), *, unchanged: str = UNCHANGED) -> int:
        """Run a statement, or a script of several, and return how many rows it changed.

        `unchanged` says what is true if it fails.
        """
        with self.connect(f"running `{_short(sql)}`", unchanged=unchanged) as client:
            return self._run(client, sql, parameters)

    def estimate(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Return how many bytes `sql` would scan, without running it: a dry run costs nothing."""
        from google.cloud.bigquery import QueryJobConfig

        with self.connect(f"estimating `{_short(sql)}`") as client:
            config = QueryJobConfig(
                dry_run=True, use_query_cache=False, query_parameters=parameters_of(parameters), labels=run_labels()
            )
            return int(client.query(sql, job_config=config, **self.asked()).total_bytes_processed or 0)

    def expected_cost(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, int]:
        """Return how many bytes reading the rows of `sql` would scan, as metadata; BigQuery says so free of charge."""
        return {"bigquery/bytes_expected": self.estimate(sql, parameters)}

    def exists(self, schema: str, table: str) -> bool:
        """Tell whether a table or view is there."""
        from google.api_core.exceptions import NotFound

        with self.connect(f"looking for {schema}.{table}") as client:
            try:
                client.get_table(self._name(schema, table), **self.asked())
            except NotFound:
                return False
            return True

    def row_count(self, schema: str, table: str) -> int:
        """Count the rows of a table; BigQuery bills nothing for that."""
        return int(self.read(f"select count(*) as n from `{schema}`.`{table}`")["n"].iloc[0])

    def shapes(self, schemas: Collection[str] | None = None) -> dict[tuple[str, str], Shape]:
        """Return columns and rows of every table; from its description, which costs nothing. Views are not counted."""
        from google.api_core.exceptions import NotFound

        found = {}
        with self.connect("listing the tables") as client:
            if schemas is None:
                schemas = [
                    one.dataset_id for one in client.list_datasets(**self.asked()) if one.dataset_id != STAGING_DATASET
                ]
            for schema in schemas:
                # What goes while it is listed, as others' temporary tables do, is not there.
                with contextlib.suppress(NotFound):
                    for listed in client.list_tables(f"{self.project}.{schema}", **self.asked()):
                        with contextlib.suppress(NotFound):
                            table = client.get_table(listed.reference, **self.asked())
                            columns = {field.name.lower(): current_type(field.field_type) for field in table.schema}
                            rows = None if table.table_type != "TABLE" else int(table.num_rows or 0)
                            found[(schema, table.table_id)] = Shape(columns, rows)
        return found

    def tables(self, schema: str) -> list[str]:
        """Return the names of a schema's tables and views; none if it is not there."""
        from google.api_core.exceptions import NotFound

        with self.connect(f"listing the tables of {schema}") as client:
            try:
                return [one.table_id for one in client.list_tables(f"{self.project}.{schema}", **self.asked())]
            except NotFound:
                return []

    def describe(self, schema: str, table: str) -> SourceTable | None:
        """Return what BigQuery says of a table without reading it, at no charge; None if it is not there."""
        from google.api_core.exceptions import NotFound

        with self.connect(f"describing {schema}.{table}") as client:

            def look_up(name: str) -> Any:
                try:
                    return client.get_table(name, **self.asked())
                except NotFound:
                    return None

            found = look_up(self._name(schema, table))
            return None if found is None else source_of(found, look_up)

    def digest_of(self, values: Sequence[str]) -> str:
        """Return the SQL of the sum of a hash of each row, which is another one when a value is."""
        row = self.md5_of(f"to_json_string(struct({', '.join(values)}))")
        # Of each hash 32 bits: their sum stays within 64 up to two thousand million rows.
        return f"sum(cast(concat('0x', substr({row}, 1, 8)) as int64))"

    def local(self) -> LocalWarehouse:
        """Bring the copy of what is measured and replayed up to date, and return it.

        Raises:
            WarehouseError: no local copy was handed in, or BigQuery cannot be read.
        """
        if self.local_copy is None:
            raise WarehouseError(
                "Expected local_copy, which keeps the DuckDB file for what the weekly judgement measures and replays, "
                "and it is not set. Give one with a file on a disk that stays; nothing was read."
            )
        return self.local_copy.refreshed(self)

    def create_table(self, schema: str, table: str, columns: Mapping[str, str]) -> None:
        """Create an empty table with these columns (name: type of the contract) unless it is there."""
        kinds = {name.lower(): bigquery_type(kind) for name, kind in columns.items()}
        with self.connect(f"creating {schema}.{table}") as client:
            self.ensure_dataset(client, schema)
            self._create(client, schema, table, kinds)

    def drop_table(self, schema: str, table: str) -> None:
        """Remove a table; nothing happens where it is not there."""
        with self.connect(f"removing {schema}.{table}") as client:
            client.delete_table(f"{self.project}.{schema}.{table}", not_found_ok=True)

    def replace_table(self, schema: str, table: str, frame: "pd.DataFrame") -> int:
        """Replace the whole table by `frame` (empty allowed) in one job; return its row count."""
        with self.connect(f"replacing {schema}.{table}", unchanged="The previous table is intact.") as client:
            self.ensure_dataset(client, schema)
            rows = arrow_of(frame, lambda: self._declared(client, self._name(schema, table)))
            if rows.num_rows:
                self._load(client, parquet_of(rows), self._name(schema, table), schema_of(rows.schema))
            else:
                # A file without rows is no reliable way to say that there are none.
                self._run(client, create_statement(self._name(schema, table), schema_of(rows.schema)))
        return int(rows.num_rows)

    def replace_partitions(
        self, schema: str, table: str, frame: "pd.DataFrame", *, column: str, values: Sequence[Any]
    ) -> int:
        """Replace the rows whose `column` is one of `values` by `frame` in one statement; return the table's rows.

        Raises:
            ChangedTableError: other jobs kept changing the table; nothing of it was replaced.
            WarehouseError: `frame` holds a row outside `values`, or BigQuery refuses; nothing of it was replaced.
        """
        frame = lower_names(frame)
        refuse_unexpected_values(frame, f"{schema}.{table}", column, values)
        rows = arrow_of(frame)
        file = parquet_of(rows) if rows.num_rows else None
        return self._replace_patiently(schema, table, schema_of(rows.schema), file, column, values)

    def replace_partitions_by(
        self, schema: str, table: str, frames: "Iterable[pd.DataFrame]", *, column: str, values: Sequence[Any]
    ) -> int:
        """Do as `replace_partitions`, with rows that need not fit in memory together; return the table's rows.

        They are loaded from one file: a load job is atomic, and memory stays flat.
        """

        def put(rows: Buffered) -> int:
            with rows.path.open("rb") as file:
                return self._replace_patiently(schema, table, schema_of(rows.schema), file, column, values)

        return replace_by_buffer(self, schema, table, frames, column, values, put)

    def _replace_patiently(
        self,
        schema: str,
        table: str,
        kinds: Mapping[str, str],
        file: BinaryIO | None,
        column: str,
        values: Sequence[Any],
    ) -> int:
        what = f"replacing {len(values)} value(s) of {column} in {schema}.{table}"
        for attempt in range(MERGES):
            try:
                self._replace(what, schema, table, kinds, file, column, values)
                break
            except ChangedTableError:
                if attempt == MERGES - 1:
                    raise
                patience(self.wait_seconds)(attempt)
        return self.row_count(schema, table)

    def md5_of(self, column: str) -> str:
        """Return the SQL for the MD5 of a column's text."""
        return f"to_hex(md5(cast({column} as string)))"

    def costs(self) -> dict[str, int]:
        """Return what was billed to the present step since the last call: jobs, bytes, slot milliseconds."""
        return {f"bigquery/{name}": value for name, value in self._charges.taken().items()}

    def _replace(
        self,
        what: str,
        schema: str,
        table: str,
        kinds: Mapping[str, str],
        file: BinaryIO | None,
        column: str,
        values: Sequence[Any],
    ) -> None:
        """Replace rows by those of a Parquet file with columns of these types; by none without a file."""
        from google.api_core.exceptions import BadRequest

        name = self._name(schema, table)
        with self.connect(what, unchanged="No row was replaced.") as client:
            self.ensure_dataset(client, schema)
            self._create(client, schema, table, kinds)
            have = self._columns(client, name)
            new = {one: kind for one, kind in kinds.items() if one not in have}
            if new:
                # A column more, without a value, changes nothing for a reader.
                added = ", ".join(f"add column if not exists `{one}` {kind}" for one, kind in new.items())
                self._run(client, f"alter table `{name}` {added}")
                have = {**have, **new}
            if not len(values):
                return
            wanted = array_parameter(values)
            if file is None:
                self._run(client, f"delete from `{name}` where `{column}` in unnest(?)", raw=[wanted])
                return
            with self._staged(client, schema, table, file, kinds) as staged:
                merge = merge_statement(name, staged, kinds, have, column)
                try:
                    self._run(client, merge, raw=[wanted])
                except BadRequest as error:
                    if is_conflict(error) or self._columns(client, name) == have:
                        raise
                    raise ChangedTableError(
                        f"Expected the columns of {schema}.{table} to stay while rows were replaced, but somebody "
                        "changed them. No row was replaced; run again when that is done."
                    ) from None

    @contextlib.contextmanager
    def _staged(self, client: Any, schema: str, table: str, file: BinaryIO, kinds: Mapping[str, str]) -> Iterator[str]:
        """Load rows where nobody reads them; yield the table's name, and drop it whatever happens."""
        self.ensure_dataset(client, STAGING_DATASET, expires_ms=STAGED_FOR_MS)
        staged = self._name(STAGING_DATASET, f"{schema}__{table}__{uuid.uuid4().hex}")
        try:
            self._load(client, file, staged, kinds, laid_out=False)
            yield staged
        finally:
            # It expires anyway: failing to drop it must not hide what went wrong before.
            with contextlib.suppress(Exception):
                client.delete_table(staged, not_found_ok=True, retry=self._retry(), timeout=30)

    def _load(
        self, client: Any, file: BinaryIO, destination: str, kinds: Mapping[str, str], *, laid_out: bool = True
    ) -> None:
        """Replace a table by the rows of a Parquet file, in one load job; loading is free of charge."""
        config = load_config(kinds, run_labels(), self._timeout_ms(), laid_out=laid_out)
        size = file.seek(0, io.SEEK_END)

        def start() -> Any:
            file.seek(0)
            return client.load_table_from_file(
                file, destination, size=size, job_config=config, location=self.location, timeout=UPLOAD_SECONDS
            )

        run_to_end(
            start,
            retry=self._retry(),
            seconds=self.job_seconds,
            # What was loaded to the side and not seen was not put to use.
            changes=laid_out,
            pause=patience(self.wait_seconds),
        )

    def _create(self, client: Any, schema: str, table: str, kinds: Mapping[str, str]) -> None:
        """Create an empty table unless it is there; no job, and so no charge."""
        client.create_table(table_of(self._name(schema, table), kinds), exists_ok=True, **self.asked())

    def _declared(self, client: Any, name: str) -> dict[str, str]:
        """Return the contract's types of a table's columns; none if it is not there."""
        from google.api_core.exceptions import NotFound

        try:
            return {column: CONTRACT_NAMES.get(kind, "varchar") for column, kind in self._columns(client, name).items()}
        except NotFound:
            return {}

    def _columns(self, client: Any, name: str) -> dict[str, str]:
        table = client.get_table(name, **self.asked())
        return {field.name.lower(): current_type(field.field_type) for field in table.schema}

    def ensure_dataset(self, client: Any, schema: str, expires_ms: int | None = None) -> None:
        """Create the dataset of a schema unless it is there; `expires_ms` after they are made its tables go.

        Raises:
            WarehouseError: it is there, in another location.
        """
        from google.api_core.exceptions import NotFound
        from google.cloud.bigquery import Dataset

        if schema in self._datasets:
            return
        dataset = Dataset(f"{self.project}.{schema}")
        dataset.location = self.location
        if expires_ms:
            dataset.default_table_expiration_ms = expires_ms
        # Looked for first: whoever may write into a dataset need not have the right to make one.
        try:
            made = client.get_dataset(dataset.reference, **self.asked())
        except NotFound:
            made = client.create_dataset(dataset, exists_ok=True, **self.asked())
        if made.location and made.location.upper() != self.location.upper():
            raise WarehouseError(
                f"Expected dataset {schema} of project {self.project} in location {self.location}, but it is in "
                f"{made.location}. A dataset cannot move: set BATON_BIGQUERY_LOCATION to {made.location}, or name "
                "another project. Nothing was written."
            )
        self._datasets.add(schema)

    def _client(self) -> Any:
        """Return the one connection: each new one would ask for a token again."""
        from resources.warehouse.bigquery.client import make_client

        with self._lock:
            if self._kept is None:
                made = make_client(self.project, self.location)
                self._kept = self._opened.enter_context(made)
            return self._kept

    def _query(
        self,
        client: Any,
        sql: str,
        parameters: Sequence[Any] = (),
        raw: Sequence[Any] = (),
        *,
        changes: bool = False,
    ) -> Any:
        """Run a query within the limit of bytes, note what it cost, and return its rows."""
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(
            query_parameters=[*parameters_of(parameters), *raw],
            maximum_bytes_billed=self.maximum_bytes_billed,
            labels=run_labels(),
            job_timeout_ms=self._timeout_ms(),
        )
        job = run_to_end(
            # Google's own repetition of jobs knows no limit of ours.
            lambda: client.query(sql, job_config=config, retry=self._retry(), job_retry=None, timeout=REQUEST_SECONDS),
            retry=self._retry(),
            seconds=self.job_seconds,
            changes=changes,
            pause=patience(self.wait_seconds),
        )
        self._charges.note(job)
        return job.result(retry=self._retry(), job_retry=None, timeout=REQUEST_SECONDS)

    def _run(self, client: Any, sql: str, parameters: Sequence[Any] = (), raw: Sequence[Any] = ()) -> int:
        done = self._query(client, sql, parameters, raw, changes=True)
        return int(getattr(done, "num_dml_affected_rows", 0) or 0)

    def _timeout_ms(self) -> int:
        """Return after how long BigQuery itself ends a job: when this process is not there to cancel it any more."""
        return int(1000 * (self.job_seconds + CANCELLING_SECONDS))

    def _name(self, schema: str, table: str) -> str:
        return f"{self.project}.{schema}.{table}"

    def asked(self) -> dict[str, Any]:
        """Return how a request is made: repeated for a while, and not waited for without end."""
        return {"retry": self._retry(), "timeout": REQUEST_SECONDS}

    def _retry(self) -> Any:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self.wait_seconds)


def _short(sql: str, most: int = 100) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= most else text[:most] + " …"
