"""Serve the emulator on free ports of loopback until standard input closes. Run by its own interpreter.

Prints one line of JSON when it answers: the address of the REST interface, and of the Storage Read interface (gRPC).
"""

import json
import logging
import os
import sys
import threading
from pathlib import Path

# Where repairs.py unpacked DuckDB's extensions; nothing is looked for on the network.
os.environ["HOME"] = str(Path(sys.prefix))

# DuckDB imports it at every statement with parameters; it is not installed here, and each time all paths are searched.
sys.modules["pandas"] = None  # type: ignore[assignment]


def main(folder: str) -> None:
    """Keep the data in `folder`."""
    import uvicorn
    from local_bigquery import app
    from local_bigquery.engine import database
    from local_bigquery.grpc import server
    from local_bigquery.settings import settings

    settings.data_dir = Path(folder)
    # Its statements are many and small: a second thread costs each more than it saves.
    database.execute("SET threads = 1")
    logging.getLogger().setLevel(logging.ERROR)
    storage, grpc_port = server.start("127.0.0.1", 0)
    rest = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=rest.run, daemon=True)
    thread.start()
    while not rest.started and thread.is_alive():
        thread.join(0.01)
    port = rest.servers[0].sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"rest": f"http://127.0.0.1:{port}", "storage": f"127.0.0.1:{grpc_port}"}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    rest.should_exit = True
    thread.join(5)
    storage.stop(None)


if __name__ == "__main__":
    main(sys.argv[1])
