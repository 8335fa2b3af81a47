"""The picture in omnibridge/README.md, read from the imports: directions, no cycles, no vendor in the core."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAVES = {"omnibridge.errors", "omnibridge.clock", "omnibridge.http", "omnibridge.log", "omnibridge"}

ALLOWED = {
    "domain": {"domain"},
    "routing": {"domain", "routing"},
    "connector": {"domain", "connector"},
    "rocketchat": {"domain", "rocketchat"},
    "storage": {"storage"},
    "engine": {"domain", "routing", "connector", "rocketchat", "storage", "engine"},
    "web": {"domain", "routing", "rocketchat", "storage", "engine", "web"},
    "sandbox": {"sandbox"},
}
"""Package -> packages it may import, besides the leaves; `domain` may import of those only `errors`."""

EXTRAS = {"rasa_sdk", "google", "simple_salesforce", "asyncpg", "nats", "grpc"}
VENDORS = re.compile(r"rasa|dialogflow|salesforce", re.IGNORECASE)


def imports_of(path: Path, *, at_runtime: bool = True, inside_functions: bool = True) -> set[str]:
    """Modules that a file imports. Type-only imports are left out when `at_runtime`."""
    tree = ast.parse(path.read_text("utf-8"))
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if at_runtime and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if not inside_functions and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.Import):
                found.update(each.name for each in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.add(child.module)
                found.update(f"{child.module}.{each.name}" for each in child.names)
            visit(child)

    visit(tree)
    return found


def modules(root: Path, package: str) -> dict[str, Path]:
    """Dotted name -> file."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def wrong_arrows(root: Path) -> list[str]:
    """Imports between packages that ALLOWED does not name."""
    problems = []
    for name, path in modules(root, "omnibridge").items():
        parts = name.split(".")
        package = parts[1] if len(parts) > 1 else ""
        if package not in ALLOWED:
            continue
        leaves = {"omnibridge.errors"} if package == "domain" else LEAVES
        for each in imports_of(path):
            head = each.split(".")
            if head[0] == "connectors":
                problems.append(f"{name} imports {each}")
            elif head[0] == "omnibridge" and len(head) > 1 and head[1] not in ALLOWED[package]:
                if ".".join(head[:2]) not in leaves:
                    problems.append(f"{name} imports {each}")
    return problems


def cycles(root: Path, *packages: str) -> list[list[str]]:
    """Import cycles between modules at import time (strongly connected groups of more than one)."""
    known = {name: path for package in packages for name, path in modules(root, package).items()}
    graph = {
        name: {each for each in imports_of(path, inside_functions=False) if each in known and each != name}
        for name, path in known.items()
    }
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def connect(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                connect(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            connect(name)
    return found


def test_packages_import_only_what_they_may() -> None:
    assert wrong_arrows(ROOT) == []


def test_no_import_cycles() -> None:
    assert cycles(ROOT, "omnibridge", "connectors") == []


@pytest.mark.parametrize("package", ["domain", "routing", "engine", "storage"])
def test_no_vendor_is_named_in_the_core(package: str) -> None:
    named = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in sorted((ROOT / "omnibridge" / package).rglob("*.py"))
        if (found := VENDORS.search(path.read_text("utf-8")))
    ]

    assert named == []


def test_connectors_import_only_the_public_api() -> None:
    wrong = [
        f"{name} imports {each}"
        for name, path in modules(ROOT, "connectors").items()
        for each in imports_of(path)
        if (each.startswith("omnibridge.") and not each.startswith("omnibridge.connector"))
        or (each.startswith("connectors.") and each.split(".")[1] != name.split(".")[1])
    ]

    assert wrong == []


def test_core_does_not_import_extras_at_start() -> None:
    wrong = [
        f"{name}: {each}"
        for name, path in modules(ROOT, "omnibridge").items()
        for each in imports_of(path, inside_functions=False)
        if each.split(".")[0] in EXTRAS
    ]

    assert wrong == []


def test_command_line_starts_without_any_connector() -> None:
    look = "[m for m in sys.modules if m.startswith('connectors')]"
    code = f"import sys, omnibridge.cli, omnibridge.bootstrap; print({look})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_checks_can_fail(tmp_path: Path) -> None:
    """The tests above on a tree that breaks their rules."""
    for name, text in {
        "omnibridge/domain/a.py": "import omnibridge.storage.b\n",
        "omnibridge/storage/b.py": "from omnibridge.storage import c\n",
        "omnibridge/storage/c.py": "import omnibridge.storage.b\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert wrong_arrows(tmp_path) == ["omnibridge.domain.a imports omnibridge.storage.b"]
    assert cycles(tmp_path, "omnibridge") == [["omnibridge.storage.b", "omnibridge.storage.c"]]
