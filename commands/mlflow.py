"""Open MLflow's page on the versions of this home: what each was trained on, judged by, and looks like."""

import os
import sys

from commands.ports import LOOPBACK, asked_port, port_for
from commands.sentences import sentences
from commands.session import prepare_home, quiet
from resources.profiles import SettingError, home, resources_for
from resources.registry import CHAMPION
from resources.registry_file import PREFIX

USUAL = 5000


def main() -> None:
    """Start MLflow's server on loopback; it runs until interrupted."""
    asked = asked_port(__doc__, USUAL)
    quiet()
    with sentences():
        registry = resources_for()["registry"]
        if not registry.tracking_uri.startswith(PREFIX):
            raise SettingError(f"The versions are kept by the MLflow server at {registry.tracking_uri}: open its page.")
        prepare_home()
        champion = registry.by_alias(CHAMPION)
        port = port_for(asked, USUAL, "mlflow")
        version = f"/versions/{champion.version}" if champion else ""
        page = f"http://{LOOPBACK}:{port}/#/models/{registry.model_name}{version}"
        print(f"state: {home()}\nMLflow: {page}   (Ctrl-C ends it)", flush=True)
        mlflow = os.path.join(os.path.dirname(sys.executable), "mlflow")
        # Its jobs (scoring and archiving of traces) are for language models, and three processes more.
        os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        stored = ["--backend-store-uri", registry.tracking_uri, "--default-artifact-root", registry.artifact_root]
        os.execv(mlflow, [mlflow, "server", *stored, "--host", LOOPBACK, "--port", str(port), "--workers", "1"])


if __name__ == "__main__":
    main()
