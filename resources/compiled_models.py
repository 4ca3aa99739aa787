"""dbt's models as they were compiled: the SQL that a sandbox runs, and what each reads."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Model:
    """One compiled dbt model. `days` is the day column of a staging model that is kept day by day ("": none).

    `relation` is how the compiled SQL of other models names it. `look_backs`: so many times the company's look-back it
    reads before a cutoff (`meta` of the model).
    """

    asset: str
    schema: str
    name: str
    sql: str
    stored: bool
    parents: tuple[str, ...]
    sources: tuple[str, ...]
    days: str
    relation: str = ""
    look_backs: int = 1


def compiled_models(manifest: Path, *, serving: bool = False) -> list[Model]:
    """Return the models of a compiled manifest, parents first; with `serving` also those that read predictions."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    nodes = {key: node for key, node in content["nodes"].items() if node["resource_type"] == "model"}
    sources = {key: f"{node['source_name']}/{node['name']}" for key, node in content["sources"].items()}

    def reads_predictions(key: str) -> bool:
        parents = nodes[key]["depends_on"]["nodes"]
        return any(
            reads_predictions(parent) if parent in nodes else not sources.get(parent, "raw/").startswith("raw/")
            for parent in parents
        )

    ordered: list[str] = []

    def visit(key: str) -> None:
        if key in ordered:
            return
        for parent in nodes[key]["depends_on"]["nodes"]:
            if parent in nodes:
                visit(parent)
        ordered.append(key)

    for key in sorted(nodes):
        if serving or not reads_predictions(key):
            visit(key)
    return [_model(nodes[key], nodes, sources) for key in ordered]


def look_backs(models: Iterable[Model]) -> int:
    """Return how many times the company's look-back these models read before a cutoff."""
    return max((model.look_backs for model in models), default=1)


def looks_ahead(models: Iterable[Model]) -> bool:
    """Tell whether one of these models reads what came after a cutoff, as outcomes do."""
    return any(model.schema == "outcomes" for model in models)


def _model(node: Mapping[str, Any], nodes: Mapping[str, Any], sources: Mapping[str, str]) -> Model:
    parents = node["depends_on"]["nodes"]
    unique = node["config"].get("unique_key")
    kept_by_day = node["schema"] == "staging" and node["config"]["materialized"] == "incremental"
    return Model(
        asset=f"{node['schema']}/{node['name']}",
        schema=node["schema"],
        name=node["name"],
        sql=node["compiled_code"].rstrip().rstrip(";"),
        stored=node["config"]["materialized"] in ("table", "incremental"),
        parents=tuple(f"{nodes[key]['schema']}/{nodes[key]['name']}" for key in parents if key in nodes),
        sources=tuple(sources[key] for key in parents if key in sources),
        days=unique if kept_by_day and isinstance(unique, str) else "",
        relation=node["relation_name"] or "",
        look_backs=int(node["config"].get("meta", {}).get("look_backs", 1)),
    )
