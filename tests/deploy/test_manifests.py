"""What is deployed says what it should: checked against schemas, and for what no schema knows."""

import json
import re
import subprocess
from importlib import resources

import jsonschema
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from endpoint.limits import MOST_BYTES
from resources.airbyte import RemoteAirbyteWorkspace
from resources.profiles import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
HELM = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
NGINX = (DEPLOY / "proxy" / "nginx.conf").read_text()
PAGE = (ROOT / "docs" / "deployment.md").read_text()
OURS = ("code", "daemon", "webserver", "viewer", "app", "endpoint")


def version_of(package):
    [line] = [one for one in (ROOT / "requirements.lock").read_text().splitlines() if one.startswith(f"{package}==")]
    return line.split("==")[1].split()[0].rstrip("\\")


def test_the_compose_file_keeps_to_the_compose_specification():
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_every_file_that_a_service_mounts_is_there_or_made_by_the_reader():
    made_by_the_reader = {f"{group}.htpasswd" for group in ("editors", "viewers", "readers", "programs")}
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
    assert image.index("\nUSER baton\n") < image.index("\nRUN python tools/bootstrap.py")
    for name in (*OURS, "proxy"):
        service = COMPOSE["services"][name]
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert COMPOSE["services"]["proxy"]["user"] == "101:101"
    deployment = HELM["dagster-user-deployments"]["deployments"][0]
    for part in (HELM["dagsterWebserver"], HELM["dagsterDaemon"], deployment):
        assert part["podSecurityContext"]["runAsNonRoot"] is True
        assert part["securityContext"]["allowPrivilegeEscalation"] is False


def test_only_the_proxy_is_open_and_only_on_this_machine():
    published = {name: one["ports"] for name, one in COMPOSE["services"].items() if "ports" in one}
    assert list(published) == ["proxy"]
    assert all(port.startswith("127.0.0.1:") for port in published["proxy"])


def test_the_door_of_viewers_cannot_lead_to_the_webserver_that_acts():
    networks = {name: set(one["networks"]) for name, one in COMPOSE["services"].items()}
    assert networks["proxy"] & networks["viewer"] == {"viewers"}
    assert networks["proxy"] & networks["webserver"] == {"editors"}
    # Whatever address the proxy still holds of that side, nobody else can ever have it there.
    assert [name for name, joined in networks.items() if "viewers" in joined] == ["viewer", "proxy"]
    # Who reads the pages for people sees no webserver, no database and no code; nor does a program.
    for mine, door in (("app", "readers"), ("endpoint", "programs")):
        assert [name for name, joined in networks.items() if door in joined] == [mine, "proxy"]
        assert networks[mine] == {door}
    assert set(COMPOSE["networks"]) == set().union(*networks.values())


def test_a_build_has_a_name_of_its_own_so_that_there_is_one_to_go_back_to():
    assert {COMPOSE["services"][name]["image"] for name in OURS} == {"baton:${BATON_VERSION:?set it in .env}"}
    assert re.search(r"^BATON_VERSION=\d", (DEPLOY / "compose" / ".env.example").read_text(), re.MULTILINE)
    with_compose = PAGE.partition("## On Kubernetes")[0].splitlines()
    for task, command in (("upgrade", "up --build --detach"), ("go back", "up --detach --no-build")):
        [row] = [line for line in with_compose if line.startswith(f"| {task} |")]
        assert "`BATON_VERSION`" in row
        assert f"`docker compose {command}`" in row


def test_no_file_holds_a_secret():
    secret = COMPOSE["services"]["code"]["environment"]["DAGSTER_POSTGRES_PASSWORD"]
    assert secret == "${DAGSTER_POSTGRES_PASSWORD:?set it in .env}"
    assert "DAGSTER_POSTGRES_PASSWORD=\n" in (DEPLOY / "compose" / ".env.example").read_text()
    assert HELM["generatePostgresqlPasswordSecret"] is False


def test_where_alerts_go_is_told_to_the_code_location_alone_and_may_be_left_out():
    runs = HELM["runLauncher"]["config"]["k8sRunLauncher"]["envSecrets"]
    code = HELM["dagster-user-deployments"]["deployments"][0]["envSecrets"]
    assert code == [*runs, {"name": "baton-alerts", "optional": True}]
    told = {name: one["env_file"][0]["path"] for name, one in COMPOSE["services"].items() if "env_file" in one}
    assert told == {"code": ".env.secrets", "app": ".env.app", "endpoint": ".env.app"}
    for name in ("app", "endpoint"):
        assert set(COMPOSE["services"][name]["environment"]) == {"BATON_PROFILE"}, "no password of Postgres"


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


def test_no_run_is_ended_while_it_may_still_wait_for_its_sync():
    longest_sync = RemoteAirbyteWorkspace.model_fields["poll_timeout"].default
    compose = yaml.safe_load((DEPLOY / "compose" / "dagster.yaml").read_text())["run_monitoring"]
    # What follows a sync has its two hours, too.
    assert compose["max_runtime_seconds"] >= longest_sync + 7200
    assert "maxRuntimeSeconds" not in HELM["dagsterDaemon"]["runMonitoring"]


@pytest.mark.parametrize("pool", ["champion", "dbt"])
def test_what_must_not_run_twice_at_once_is_in_a_pool(pool):
    from definitions import defs

    graph = defs.resolve_asset_graph()
    assert pool in {one for key in graph.materializable_asset_keys for one in graph.get(key).pools or ()}
    assert HELM["concurrency"]["pools"] == {"granularity": "run", "defaultLimit": 1}


def test_the_proxy_lets_nobody_through_unasked_and_nothing_unrecorded():
    assert NGINX.count("auth_basic_user_file") == NGINX.count("    listen ") == 4
    behind = ["http://$webserver", "http://$viewer", "http://$app", "http://$endpoint"]
    assert re.findall(r"proxy_pass (\S+);", NGINX) == behind
    # A password goes no further than here.
    assert NGINX.count('proxy_set_header Authorization "";') == len(behind)
    assert "$remote_user" in re.search(r"log_format people '(.*)';", NGINX)[1]
    for place in ("compose", "kubernetes"):
        assert "\naccess_log /dev/stdout people;\n" in (DEPLOY / "proxy" / f"{place}.conf").read_text()


def test_the_proxy_takes_the_bodies_that_the_endpoint_takes():
    door = NGINX.partition("listen 8083;")[2]
    [megabytes] = re.findall(r"client_max_body_size (\d+)m;", door)
    # The endpoint says itself what is too much, up to a megabyte beyond it; the proxy says the same of what is more.
    assert int(megabytes) * 1024**2 == MOST_BYTES + 1024**2
    assert f"at most {MOST_BYTES // 1024**2} MiB" in door


def test_on_one_machine_every_process_comes_again_by_itself():
    unit = (DEPLOY / "machine" / "baton@.service").read_text()
    assert "\nExecStart=/opt/baton/deploy/machine/process %i\nRestart=always\n" in unit
    script = DEPLOY / "machine" / "process"
    assert script.stat().st_mode & 0o111 == 0o111
    assert re.findall(r"^  (\w+)\)", script.read_text(), re.MULTILINE) == [*OURS, "proxy"]
    page = (ROOT / "docs" / "afternoon.md").read_text()
    assert [name for name in (*OURS, "proxy") if f"baton@{name}" not in page] == []
    refused = subprocess.run([script, "nobody"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr == "Expected code, daemon, webserver, viewer, app, endpoint or proxy, not nobody.\n"
