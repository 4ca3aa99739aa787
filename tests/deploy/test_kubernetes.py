"""What Kubernetes is given: a run's pod as Dagster makes it of the chart's values, and who may reach what."""

import json
import re

import pytest
import yaml
from dagster import DagsterRun
from dagster._config import process_config, resolve_to_config_type
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from resources.profiles import ROOT

DEPLOY = ROOT / "deploy"
HELM = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
WEB = HELM["dagsterWebserver"]
LAUNCHER = HELM["runLauncher"]["config"]["k8sRunLauncher"]
[CODE] = HELM["dagster-user-deployments"]["deployments"]
PROXY = {
    (one["kind"], one["metadata"]["name"]): one
    for file in ("proxy", "app", "endpoint")
    for one in yaml.safe_load_all((DEPLOY / "helm" / f"{file}.yaml").read_text())
}
NGINX = (DEPLOY / "proxy" / "nginx.conf").read_text()
PAGE = (ROOT / "docs" / "deployment.md").read_text()


def launcher_config():
    """Return the run launcher's configuration as the chart's template writes it into dagster.yaml."""
    return {
        "load_incluster_config": LAUNCHER["loadInclusterConfig"],
        "job_namespace": "baton",
        "image_pull_policy": LAUNCHER["imagePullPolicy"],
        "service_account_name": HELM["global"]["serviceAccountName"],
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "baton-dagster-instance",
        "postgres_password_secret": HELM["global"]["postgresqlSecretName"],
        "env_secrets": [one["name"] for one in LAUNCHER["envSecrets"]],
        "env_vars": LAUNCHER["envVars"],
        "resources": LAUNCHER["resources"],
        "fail_pod_on_run_failure": LAUNCHER["failPodOnRunFailure"],
        "security_context": LAUNCHER["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": LAUNCHER["runK8sConfig"]["podSpecConfig"],
            "job_spec_config": LAUNCHER["runK8sConfig"]["jobSpecConfig"],
        },
    }


def told_by_the_code_location():
    """Return what the chart has the code location tell to whoever launches its runs; it goes before what they say."""
    if not CODE["includeConfigInLaunchedRuns"]["enabled"]:
        return None
    return {
        "k8s": {
            "env_config_maps": ["baton-dagster-user-deployments-baton-user-env"],
            "env_secrets": [one["name"] for one in CODE["envSecrets"]],
            "resources": CODE["resources"],
            "namespace": "baton",
        }
    }


@pytest.fixture
def pod(tmp_path):
    """The pod of a run, made by Dagster's own launcher of what both sides say."""
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.job import construct_dagster_k8s_job

    access = {
        "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "nowhere", "user": "nobody"}}],
        "current-context": "here",
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(access))
    launcher = K8sRunLauncher(**launcher_config() | {"load_incluster_config": False, "kubeconfig_file": str(file)})
    image = f"{CODE['image']['repository']}:{CODE['image']['tag']}"
    pointer = ModuleCodePointer("definitions", "defs")
    repository = RepositoryPythonOrigin(
        "python", pointer, container_image=image, container_context=told_by_the_code_location()
    )
    run = DagsterRun("ingest_and_build", job_code_origin=JobPythonOrigin("ingest_and_build", repository))
    merged = launcher.get_container_context_for_run(run)
    job = construct_dagster_k8s_job(
        merged.get_k8s_job_config(image, launcher), ["dagster"], "run", user_defined_k8s_config=merged.run_k8s_config
    )
    return job.spec.template.spec


def test_the_run_launcher_of_the_chart_is_configured_as_its_class_allows():
    from dagster_k8s import K8sRunLauncher

    accepted = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), launcher_config())
    assert accepted.success, accepted.errors


def test_a_run_has_the_memory_of_runs_and_not_of_the_code_location(pod):
    [container] = pod.containers
    assert container.resources.limits == LAUNCHER["resources"]["limits"]
    assert container.resources.requests == LAUNCHER["resources"]["requests"]
    assert LAUNCHER["resources"]["limits"]["memory"] == "6Gi"
    assert CODE["resources"]["limits"]["memory"] == "2Gi"


def test_a_run_is_told_all_that_the_code_location_is_told_but_where_alerts_go(pod):
    [container] = pod.containers
    assert CODE["env"].items() <= {one.name: one.value for one in container.env}.items()
    secrets = {one.secret_ref.name for one in container.env_from if one.secret_ref}
    assert secrets == {one["name"] for one in CODE["envSecrets"]} - {"baton-alerts"}
    assert pod.service_account_name == HELM["global"]["serviceAccountName"]


def test_a_run_has_no_privileges(pod):
    [container] = pod.containers
    assert container.security_context.allow_privilege_escalation is False
    assert container.security_context.capabilities.drop == ["ALL"]
    assert pod.security_context.run_as_non_root is True
    assert pod.security_context.run_as_user == CODE["podSecurityContext"]["runAsUser"]


def test_webservers_listen_where_a_user_may_and_are_asked_there():
    assert WEB["podSecurityContext"]["runAsNonRoot"] is True
    assert WEB["service"]["port"] == WEB["readinessProbe"]["httpGet"]["port"] == 3000


@pytest.mark.parametrize(("kind", "name"), PROXY)
def test_each_manifest_is_one_that_kubernetes_knows(kind, name):
    import kubernetes.client
    from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict

    version, model = {
        "Deployment": ("apps/v1", kubernetes.client.V1Deployment),
        "Service": ("v1", kubernetes.client.V1Service),
        "ServiceAccount": ("v1", kubernetes.client.V1ServiceAccount),
        "NetworkPolicy": ("networking.k8s.io/v1", kubernetes.client.V1NetworkPolicy),
    }[kind]
    assert PROXY[kind, name]["apiVersion"] == version
    assert PROXY[kind, name]["metadata"]["namespace"] == "baton"
    # Unknown keys, missing ones and values of another shape are errors.
    k8s_model_from_dict(model, k8s_snake_case_dict(model, PROXY[kind, name]))


def test_the_proxy_s_pods_are_as_poor_as_ours():
    spec = PROXY["Deployment", "baton-proxy"]["spec"]["template"]["spec"]
    [nginx] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert nginx["securityContext"]["readOnlyRootFilesystem"] is True
    assert WEB["securityContext"].items() <= nginx["securityContext"].items()


def test_the_proxy_has_the_doors_the_names_and_the_files_that_it_needs():
    deployment = PROXY["Deployment", "baton-proxy"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == PROXY["Service", "baton-proxy"]["spec"]["selector"] == labels
    [nginx] = deployment["template"]["spec"]["containers"]
    assert [str(one["containerPort"]) for one in nginx["ports"]] == re.findall(r"listen (\d+);", NGINX)
    # The chart's services: of a release named baton, in the namespace baton.
    names = {"webserver": f"baton-{WEB['nameOverride']}", "viewer": f"baton-{WEB['nameOverride']}-read-only"}
    place = (DEPLOY / "proxy" / "kubernetes.conf").read_text()
    for variable, name in names.items():
        address = f"{name}.baton.svc.cluster.local:{WEB['service']['port']}"
        assert f"map $host ${variable} {{ default {address}; }}" in place
    for mine in ("app", "endpoint"):
        [port] = PROXY["Service", f"baton-{mine}"]["spec"]["ports"]
        assert f"map $host ${mine} {{ default baton-{mine}.baton.svc.cluster.local:{port['port']}; }}" in place
    # The page makes what the pod mounts.
    assert nginx["command"][:3] == ["nginx", "-c", "/etc/baton/nginx.conf"]
    [configuration] = [one for one in deployment["template"]["spec"]["volumes"] if "projected" in one]
    files, people = configuration["projected"]["sources"]
    assert f"create configmap {files['configMap']['name']} " in PAGE
    assert f"create secret generic {people['secret']['name']} " in PAGE
    for file in ("nginx.conf=deploy/proxy/nginx.conf", "place.conf=deploy/proxy/kubernetes.conf"):
        assert f"--from-file={file}" in PAGE
    for file in re.findall(r"auth_basic_user_file (\S+);", NGINX):
        assert f"--from-file={file}" in PAGE


def test_only_the_proxy_reaches_a_webserver_and_only_dagster_the_code():
    webservers, code = (PROXY["NetworkPolicy", name]["spec"] for name in ("baton-webservers", "baton-code"))
    proxy = PROXY["Deployment", "baton-proxy"]["spec"]["selector"]
    components = ["dagster-webserver", "dagster-webserver-read-only"]
    assert webservers["policyTypes"] == code["policyTypes"] == ["Ingress"]
    assert [one["values"] for one in webservers["podSelector"]["matchExpressions"]] == [components]
    assert webservers["ingress"] == [{"from": [{"podSelector": proxy}], "ports": [{"port": WEB["service"]["port"]}]}]
    [rule] = code["ingress"]
    [asking] = rule["from"]
    assert [one["values"] for one in asking["podSelector"]["matchExpressions"]] == [[*components, "dagster-daemon"]]
    assert rule["ports"] == [{"port": CODE["port"]}]


@pytest.mark.parametrize("mine", ["app", "endpoint"])
def test_pages_and_endpoint_may_read_what_was_published_and_only_the_proxy_reaches_them(mine):
    deployment = PROXY["Deployment", f"baton-{mine}"]["spec"]
    spec = deployment["template"]["spec"]
    [app] = spec["containers"]
    proxy = PROXY["Deployment", "baton-proxy"]["spec"]["selector"]
    policy = PROXY["NetworkPolicy", f"baton-{mine}"]["spec"]
    assert policy["podSelector"] == deployment["selector"]
    assert PROXY["Service", f"baton-{mine}"]["spec"]["selector"] == deployment["selector"]["matchLabels"]
    [listened] = app["ports"]
    assert app["args"][app["args"].index("--port") + 1] == str(listened["containerPort"])
    assert policy["ingress"] == [{"from": [{"podSelector": proxy}], "ports": [{"port": listened["containerPort"]}]}]
    assert app["args"][:3] == ["python", "-m", f"commands.{mine}"]
    if mine == "app":
        # The name that the proxy asks for is one that the pages answer to.
        assert f"proxy_set_header Host {app['args'][app['args'].index('--name') + 1]};" in NGINX
    assert f"--filename deploy/helm/{mine}.yaml" in PAGE
    assert spec["serviceAccountName"] == "baton-reader" != HELM["global"]["serviceAccountName"]
    assert {one["secretRef"]["name"] for one in app["envFrom"]} == {"baton-warehouse", "baton-mlflow"}
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert WEB["securityContext"].items() <= app["securityContext"].items()
    assert app["image"] == f"{WEB['image']['repository']}:{WEB['image']['tag']}"


def test_a_pod_of_the_endpoint_is_asked_once_it_has_something_and_another_is_there_while_it_is_replaced():
    spec = PROXY["Deployment", "baton-endpoint"]["spec"]
    [container] = spec["template"]["spec"]["containers"]
    asked = {container[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}
    assert asked == {"/ready", "/health"} < {route.path for route in _routes()}
    # A pod that cannot be ready yet, because nothing was published, is no reason to end it.
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert spec["replicas"] > 1
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def _routes():
    from support.bundled import PROBLEM

    from endpoint.api import Settings, make_endpoint
    from endpoint.held import Keeper

    keeper = Keeper(ROOT / "none", "lapse", models=None)
    return make_endpoint(keeper, Settings(problem=PROBLEM, rules={}, now=lambda: None)).app.routes
