"""The one place that opens a connection to BigQuery: the real service, or an emulator that the environment names.

Imports Google's client and dagster-gcp, seconds of it: only functions import this module.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from dagster_gcp import BigQueryResource
from google.cloud import bigquery

EMULATOR = "BIGQUERY_EMULATOR_HOST"
"""Address of an emulator, such as http://127.0.0.1:9050; Google's own client reads it too."""

EMULATOR_STORAGE = "BIGQUERY_EMULATOR_STORAGE"
"""Host and port of the emulator's Storage Read interface; without it frames are read through REST."""


class BigQuery(BigQueryResource):
    """dagster-gcp's resource, with anonymous credentials where an emulator is named: it accepts and needs none."""

    @contextlib.contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """Yield a client that is closed afterwards."""
        if os.environ.get(EMULATOR):
            from google.auth import credentials

            anonymous: Any = credentials.AnonymousCredentials
            client: Any = bigquery.Client(project=self.project, location=self.location, credentials=anonymous())
        else:
            # dagster-gcp puts the key into a file while the client is made; the client keeps what it read.
            with super().get_client() as made:
                client = made
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def make_client(project: str, location: str | None = None) -> Iterator[Any]:
    """Yield a `google.cloud.bigquery.Client`: every connection of the project to BigQuery is made here."""
    with BigQuery(project=project, location=location).get_client() as client:
        yield client


def reading() -> dict[str, Any]:
    """Return what `RowIterator.to_arrow` is told: Storage reads, at the emulator's own address if there is one.

    Given no client, Google's dials the real storage service, whatever the emulator's address is.
    """
    if not os.environ.get(EMULATOR):
        return {"create_bqstorage_client": True}
    target = os.environ.get(EMULATOR_STORAGE)
    if not target:
        return {"create_bqstorage_client": False}
    import grpc
    from google.cloud import bigquery_storage_v1
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    channel = grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
    # Google's own types say nothing of how it is called.
    read_client: Any = bigquery_storage_v1.BigQueryReadClient
    client = read_client(transport=BigQueryReadGrpcTransport(channel=channel))
    return {"bqstorage_client": client, "create_bqstorage_client": False}
