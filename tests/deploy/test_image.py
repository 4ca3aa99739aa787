"""What goes into the image and what stays out: no secret, no tests, and nothing that is another one tomorrow."""

import json
import re
import subprocess
import tomllib
from importlib import resources
from importlib.metadata import distribution

import jsonschema
import yaml
from packaging.requirements import Requirement

from resources.profiles import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
PAGE = (ROOT / "docs" / "deployment.md").read_text()
AFTERNOON = (ROOT / "docs" / "afternoon.md").read_text()


def files_with_secrets():
    """Return the files with secrets that the pages tell people to make, as paths in the project."""
    beside = re.findall(r"> (\S+\.htpasswd)", PAGE) + re.findall(r"cp \.env\.example (\S+)", PAGE)
    beside += [one["path"] for one in COMPOSE["services"]["code"]["env_file"]]
    for_kubernetes = re.findall(r"--from-(?:env-)?file=(?:postgresql-password=)?(\S+\.(?:env|password))", PAGE)
    for_systemd = re.findall(r"/etc/baton/(\S+\.env)", AFTERNOON)
    return [*(f"deploy/compose/{one}" for one in beside), *for_kubernetes, *for_systemd]


def test_secrets_that_people_are_told_to_write_are_neither_committed_nor_built_into_the_image(tmp_path):
    secrets = files_with_secrets()
    named = {one.rpartition("/")[2] for one in secrets}
    assert {".env", ".env.secrets", "editors.htpasswd", "viewers.htpasswd", "production.env"} < named
    assert {"airbyte.env", "warehouse.env", "mlflow.env", "postgresql.password"} < named
    # In a repository of its own, so that this holds for a project that was unpacked instead of cloned.
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())

    def committed(path):
        return subprocess.run(["git", "check-ignore", "--quiet", path], cwd=tmp_path, check=False).returncode != 0

    def built_in(path):
        name = path.rpartition("/")[2]
        patterns = [one[3:] for one in (ROOT / ".dockerignore").read_text().splitlines() if one.startswith("**/")]
        return not any(re.fullmatch(re.escape(one).replace(r"\*", ".*"), name) for one in patterns)

    assert [one for one in secrets if committed(one) or built_in(one)] == []
    assert committed("deploy/compose/.env.example")
    assert committed("resources/secrets.py")
    assert built_in("resources/secrets.py")


def test_the_image_has_no_tests():
    """That nothing in it imports them is a rule of the house: tests/test_house_rules.py."""
    assert "tests" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_image_has_the_published_connectors_that_companies_name():
    copied = DOCKERFILE.index("COPY --chown=baton:baton . .")
    assert "RUN python tools/bootstrap.py\n" in DOCKERFILE[copied:]
    # What the first call made is current for the second: neither reads what is copied between the two.
    from tools.bootstrap import FILES

    first = DOCKERFILE[:copied]
    assert all(name in first for name in FILES)


def test_nothing_that_stays_in_the_image_stands_on_what_is_taken_out():
    assert "['dependency-groups']['dev']" in DOCKERFILE
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    removed = {Requirement(one).name for one in project["dependency-groups"]["dev"]}
    open_, stays = [(Requirement(one), "") for one in project["project"]["dependencies"]], set()
    while open_:
        needed, extra = open_.pop()
        known = (needed.name.lower().replace("_", "-"), *sorted(needed.extras))
        if known not in stays and (needed.marker is None or needed.marker.evaluate({"extra": extra})):
            stays.add(known)
            further = [Requirement(one) for one in distribution(needed.name).requires or ()]
            open_ += [(one, wanted) for one in further for wanted in (*needed.extras, "")]
    names = {name for name, *_ in stays}
    assert {"dagster", "mlflow", "pandera", "sqlalchemy"} < names
    assert len(names) > 100
    assert removed & names == set()


def test_no_image_is_another_one_tomorrow():
    [proxy] = [
        one for one in yaml.safe_load_all((DEPLOY / "helm" / "proxy.yaml").read_text()) if one["kind"] == "Deployment"
    ]
    [nginx] = [one["image"] for one in proxy["spec"]["template"]["spec"]["containers"]]
    services = COMPOSE["services"]
    assert services["proxy"]["image"] == nginx
    base = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)[1]
    ci = WORKFLOW["jobs"]["ci"]["container"]
    assert ci == base.replace("-slim", "")
    for image in (base, ci, nginx, services["postgres"]["image"]):
        assert re.search(r":(\d+\.\d+\.\d+|15\.\d+)(-[a-z-]+)?(@sha256:[0-9a-f]{64})?$", image), image


def test_ci_keeps_to_its_schema_and_has_the_servers_that_the_tests_start():
    schema = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "github-workflows.json"
    # YAML 1.1 takes the key `on` for a truth.
    workflow = {"on" if key is True else key: value for key, value in WORKFLOW.items()}
    jsonschema.validate(workflow, json.loads(schema.read_text()))
    steps = WORKFLOW["jobs"]["ci"]["steps"]
    assert any(step.get("run", "").rstrip().endswith(" postgresql nginx chromium fonts-dejavu-core") for step in steps)
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)
