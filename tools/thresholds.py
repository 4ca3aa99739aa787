"""Write docs/thresholds.md: every number that the monitoring is tuned by, with its value, unit and meaning.

The page is read off the code: the `thresholds` modules under `ml_models/monitoring`, and the fields of its `Settings`.
The meaning of a name is the docstring under it, or else the comment above it. The unit is what the meaning says in
brackets ("… resemble each other. [ratio]"), or else the first unit that it names ("Days after a promotion …" is in
days). A test holds the page to the code.
"""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MONITORING = Path("ml_models/monitoring")
SETTINGS = MONITORING / "settings.py"
PAGE = Path("docs/thresholds.md")

_STATED_UNIT = re.compile(r" ?\[([^]]+)\]")

NAMING_WORDS = 6
"""Words at the beginning of a meaning among which its unit stands."""

UNITS: Mapping[str, str] = {
    "share": "share, 0 to 1",
    "shares": "share, 0 to 1",
    "distance": "distance, 0 to 1",
    "p": "probability",
    "probability": "probability",
    "log-loss": "log-loss",
    "ratio": "ratio",
    "factor": "ratio",
    "times": "ratio",
    "deviations": "standard deviations",
    "errors": "standard errors",
    **{
        name: name
        for name in (
            "days", "weeks", "hours", "windows", "cutoffs", "rows", "customers", "events", "values", "segments",
            "steps", "parts", "folds", "blocks", "bins", "bands", "leaves", "characters", "stores", "digits",
        )
    },
}  # fmt: skip
"""The word that names a unit at the beginning of a meaning, and the unit."""


@dataclass(frozen=True)
class Threshold:
    """A named number of one file; `file` is relative to the repository, `unit` empty where the meaning names none."""

    file: Path
    name: str
    value: str
    unit: str
    meaning: str


def collect(root: Path = ROOT) -> list[Threshold]:
    """Return all thresholds of the monitoring: the settings first, then package by package, as they stand in files."""
    files = [SETTINGS, *sorted(path.relative_to(root) for path in (root / MONITORING).rglob("thresholds.py"))]
    found = []
    for file in files:
        module = importlib.import_module(".".join(file.with_suffix("").parts))
        holder = module.SETTINGS if file == SETTINGS else module
        for name, meaning in meanings((root / file).read_text(encoding="utf-8")).items():
            value = getattr(holder, name)
            unit = unit_of(meaning) if _is_number(value) else ""
            found.append(Threshold(file, name, shown(value), unit, _STATED_UNIT.sub("", meaning)))
    return found


def meanings(source: str) -> dict[str, str]:
    """Return the constants of a module, and the fields of its class `Settings`, with what they mean ("": not said).

    Constants are in capitals and begin with no underscore.
    """
    tree, lines = ast.parse(source), source.splitlines()
    found = {name: text for name, text in _documented(tree.body, lines) if name.isupper() and not name.startswith("_")}
    found.pop("SETTINGS", None)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            found |= dict(_documented(node.body, lines))
    return found


def _documented(body: list[ast.stmt], lines: list[str]) -> Iterator[tuple[str, str]]:
    for place, node in enumerate(body):
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        else:
            continue
        after = body[place + 1] if place + 1 < len(body) else None
        docstring = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        meaning = docstring if isinstance(docstring, str) else _comment_above(node.lineno, lines)
        for target in targets:
            for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(one, ast.Name):
                    yield one.id, " ".join(meaning.split())


def _comment_above(line: int, lines: list[str]) -> str:
    """Return the comment that ends right above a line (counted from 1), headings (`# --- …`) left out."""
    found: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.startswith("# ") or text.startswith("# ---"):
            break
        found.insert(0, text.removeprefix("# "))
    return " ".join(found)


def shown(value: object) -> str:
    """Return a value for a cell: a mapping a line an entry, a named tuple with the names of its fields."""
    if value is None:
        return "none"
    if isinstance(value, bool | str):
        return repr(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, set | frozenset):
        value = tuple(sorted(value, key=str))
    if isinstance(value, Mapping):
        return "<br>".join(f"`{name}`: {shown(one)}" for name, one in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return ", ".join(f"{name} {_plain(one)}" for name, one in zip(value._fields, value, strict=True))
    if isinstance(value, tuple):
        return ", ".join(shown(one) for one in value)
    return f"{len(value)} entries" if hasattr(value, "__len__") else type(value).__name__


def _plain(value: object) -> str:
    return value if isinstance(value, str) else shown(value)


def _is_number(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(_is_number(one) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def unit_of(meaning: str) -> str:
    """Return the unit that a meaning states in brackets, or else the first that its beginning names; "" for none."""
    stated = _STATED_UNIT.search(meaning)
    if stated:
        return stated.group(1)
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", meaning.lower())[:NAMING_WORDS]
    return next((UNITS[word] for word in words if word in UNITS), "")


def page(thresholds: list[Threshold]) -> str:
    """Return the page: a table a file."""
    lines = [
        "# Thresholds",
        "",
        "Every number that the monitoring is tuned by. `python -m tools.thresholds` writes this page from the",
        "docstrings in the code, and a test holds it to them: change the code, not the page. People may set what",
        "stands under `settings.py`. The other numbers were measured; change one together with its measurement.",
    ]
    for file in dict.fromkeys(one.file for one in thresholds):
        lines += ["", f"## [{file}](../{file})", "", "| name | value | unit | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{one.name}` | {_cell(one.value)} | {one.unit} | {_cell(one.meaning)} |"
            for one in thresholds
            if one.file == file
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page."""
    found = collect()
    (ROOT / PAGE).write_text(page(found), encoding="utf-8")
    print(f"{PAGE}: {len(found)} thresholds")


if __name__ == "__main__":
    main()
