"""What is deployed says what it should: checked against schemas, and for what no schema knows."""

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef

from resources.profiles import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
HELM = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
OURS = ("code", "daemon", "webserver", "viewer")


def version_of(package):
    [line] = [one for one in (ROOT / "requirements.lock").read_text().splitlines() if one.startswith(f"{package}==")]
    return line.split("==")[1].split()[0].rstrip("\\")


def test_the_compose_file_keeps_to_the_compose_specification():
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_every_file_that_a_service_mounts_is_there_or_made_by_the_reader():
    made_by_the_reader = {"editors.htpasswd", "viewers.htpasswd"}
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                file = (DEPLOY / "compose" / source).resolve()
                assert file.exists() or file.name in made_by_the_reader, f"{name} mounts {source}, which is not there"
            else:
                assert source in COMPOSE["volumes"], f"{name} uses a volume {source} that nobody declares"


def test_no_process_of_ours_runs_as_root_or_keeps_what_it_does_not_need():
    image = (DEPLOY / "Dockerfile").read_text()
    assert "\nUSER baton\n" in image
    assert image.index("\nUSER baton\n") < image.index("bootstrap.py\nCOPY")
    for name in OURS:
        service = COMPOSE["services"][name]
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
    deployment = HELM["dagster-user-deployments"]["deployments"][0]
    for part in (HELM["dagsterWebserver"], HELM["dagsterDaemon"], deployment):
        assert part["podSecurityContext"]["runAsNonRoot"] is True
        assert part["securityContext"]["allowPrivilegeEscalation"] is False


def test_only_the_proxy_is_open_and_only_on_this_machine():
    published = {name: one["ports"] for name, one in COMPOSE["services"].items() if "ports" in one}
    assert list(published) == ["proxy"]
    assert all(port.startswith("127.0.0.1:") for port in published["proxy"])


def test_no_file_holds_a_secret():
    secret = COMPOSE["services"]["code"]["environment"]["DAGSTER_POSTGRES_PASSWORD"]
    assert secret == "${DAGSTER_POSTGRES_PASSWORD:?set it in .env}"
    assert "DAGSTER_POSTGRES_PASSWORD=\n" in (DEPLOY / "compose" / ".env.example").read_text()
    launcher = HELM["runLauncher"]["config"]["k8sRunLauncher"]
    assert launcher["envSecrets"] == HELM["dagster-user-deployments"]["deployments"][0]["envSecrets"]
    assert HELM["generatePostgresqlPasswordSecret"] is False


def test_the_chart_is_that_of_the_locked_dagster():
    assert f"--version {version_of('dagster')} " in (DEPLOY / "helm" / "values.yaml").read_text()


def test_the_instance_configuration_is_one_that_dagster_accepts(tmp_path, monkeypatch):
    file = DEPLOY / "compose" / "dagster.yaml"
    for name in ("HOST", "USER", "PASSWORD", "DB"):
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", "given")
    monkeypatch.setenv("DAGSTER_POSTGRES_PORT", "5432")
    monkeypatch.setenv("BATON_COMPUTE_LOGS", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(file.read_text())
    reference = InstanceRef.from_dir(str(tmp_path))
    assert "Postgres" in str(reference.storage_data)


def test_the_run_launcher_of_the_chart_is_configured_as_its_class_allows():
    from dagster_k8s import K8sRunLauncher

    values = HELM["runLauncher"]["config"]["k8sRunLauncher"]
    # As the chart's template writes it into dagster.yaml.
    config = {
        "load_incluster_config": values["loadInclusterConfig"],
        "image_pull_policy": values["imagePullPolicy"],
        "env_secrets": [one["name"] for one in values["envSecrets"]],
        "fail_pod_on_run_failure": values["failPodOnRunFailure"],
        "resources": values["resources"],
        "run_k8s_config": {
            "pod_spec_config": values["runK8sConfig"]["podSpecConfig"],
            "job_spec_config": values["runK8sConfig"]["jobSpecConfig"],
        },
        "service_account_name": HELM["global"]["serviceAccountName"],
        "instance_config_map": "baton-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "postgres_password_secret": HELM["global"]["postgresqlSecretName"],
    }
    accepted = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), config)
    assert accepted.success, accepted.errors


@pytest.mark.parametrize("pool", ["champion", "dbt"])
def test_what_must_not_run_twice_at_once_is_in_a_pool(pool):
    from definitions import defs

    graph = defs.resolve_asset_graph()
    assert pool in {one for key in graph.materializable_asset_keys for one in graph.get(key).pools or ()}
    assert HELM["concurrency"]["pools"] == {"granularity": "run", "defaultLimit": 1}


def test_the_proxy_lets_nobody_through_unasked():
    text = (DEPLOY / "proxy" / "nginx.conf").read_text()
    assert text.count("auth_basic_user_file") == text.count("    listen ") == 2
    assert Path(DEPLOY / "proxy" / "upstreams.compose.conf").exists()
