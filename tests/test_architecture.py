"""The picture in omnibridge/README.md, read from the imports: directions, no cycles, no vendor in the core."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAVES = {
    f"omnibridge.{each}"
    for each in (
        *("errors", "clock", "config_lines", "http", "limits", "listening", "log", "memory", "open_files", "sealed"),
    )
}
"""Modules that every package may use."""

TOP = {
    "omnibridge.bootstrap",
    "omnibridge.bootstrap_agents",
    "omnibridge.bootstrap_analysis",
    "omnibridge.bootstrap_apart",
    "omnibridge.bootstrap_app",
    "omnibridge.bootstrap_bots",
    "omnibridge.bootstrap_codes",
    "omnibridge.bootstrap_common",
    "omnibridge.bootstrap_decisions",
    "omnibridge.bootstrap_records",
    "omnibridge.bootstrap_files",
    "omnibridge.bootstrap_gauges",
    "omnibridge.bootstrap_relay",
    "omnibridge.bootstrap_reload",
    "omnibridge.bootstrap_routes",
    "omnibridge.bootstrap_routing",
    "omnibridge.bootstrap_sources",
    "omnibridge.bootstrap_typing",
    "omnibridge.cli",
    "omnibridge.cli_agents",
    "omnibridge.cli_bots",
    "omnibridge.cli_crm",
    "omnibridge.cli_deliveries",
    "omnibridge.cli_operator",
    "omnibridge.cli_routing",
    "omnibridge.cli_setup",
    "omnibridge.cli_tokens",
    "omnibridge.server",
    "omnibridge.demo",
    "omnibridge.demo_screen",
    "omnibridge.demo_stage",
    "omnibridge.__main__",
}
"""Modules that put the parts together: they alone may import everything but connectors."""

ON_TOP = {"doctor", "setup"}
"""Packages that may do as the modules on top: they look at every part and are used by none."""

CONFIG = {
    f"omnibridge.config{part}"
    for part in (
        *("", "_agents", "_connections", "_environment", "_lines", "_options", "_reader", "_references", "_sample"),
        *("_systems", "_values", "_visitors"),
    )
}
"""Settings: for the modules on top. The others are handed values."""

ALLOWED = {
    "http": {"http"},
    "domain": {"domain"},
    "routing": {"domain", "routing"},
    "connector": {"domain", "connector"},
    "rocketchat": {"domain", "rocketchat"},
    "storage": {"storage"},
    "identity": {"domain", "rocketchat", "storage", "identity"},
    "engine": {"domain", "routing", "connector", "rocketchat", "storage", "engine"},
    "interaction": {"domain", "connector", "rocketchat", "storage", "engine", "interaction"},
    "web": {
        *("domain", "routing", "rocketchat", "storage", "engine", "connector"),
        *("assignment", "analysis", "interaction", "web"),
    },
    "sandbox": {"sandbox"},
    "assignment": {"domain", "routing", "connector", "rocketchat", "storage", "engine", "assignment"},
    "analysis": {"domain", "connector", "rocketchat", "storage", "engine", "analysis"},
    "botapi": {"domain", "connector", "storage", "engine", "botapi"},
    "client": {"client"},
    "files": {"domain", "rocketchat", "storage", "engine", "files"},
    "operator": {"domain", "routing", "storage", "engine", "operator"},
}
"""Package -> packages it may import, besides the leaves; `domain` may import of those only `errors`."""

SHARED = {f"salesforce_{each}": "salesforce" for each in ("crm", "live_agent", "messaging")}
"""Connector -> what it shares with others; no connector imports another one."""

EXTRAS = {
    *("rasa_sdk", "google", "simple_salesforce", "phonenumbers", "asyncpg", "nats", "grpc", "fastavro"),
    *("h2", "hpack", "hyperframe"),
}
LATE = {"omnibridge.http.http2", "omnibridge.http.shared"}
"""Modules of the core that need an extra: others import them inside functions alone."""
VENDORS = re.compile(r"rasa|dialogflow|salesforce", re.IGNORECASE)


def imports_of(path: Path, *, name: str = "", inside_functions: bool = True) -> set[str]:
    """Modules that a file imports at run time; type-only imports are left out.

    name: the file's own dotted name, to which relative imports are resolved.
    """
    tree = ast.parse(path.read_text("utf-8"))
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for otherwise in child.orelse:
                    visit(otherwise)
                continue
            if not inside_functions and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.Import):
                found.update(each.name for each in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                module = ".".join([*base, *([child.module] if child.module else [])])
                found.add(module)
                found.update(f"{module}.{each.name}" for each in child.names)
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
    """Imports that the table does not allow, and packages that it does not name."""
    ours = modules(root, "omnibridge")
    problems = []
    for name, path in ours.items():
        package = name.split(".")[1] if "." in name else ""
        if name in TOP or package in ON_TOP:
            allowed = {*ALLOWED, *LEAVES, *TOP, *CONFIG, *ON_TOP}
        elif name in CONFIG:
            allowed = {"omnibridge.errors", *CONFIG}
        elif package == "domain":
            allowed = {"domain", "omnibridge.errors"}
        elif package in ALLOWED:
            allowed = ALLOWED[package] | LEAVES
        elif name in LEAVES or not package:
            allowed = {"omnibridge.errors"}
        else:
            problems.append(f"{name}: has no row in ALLOWED")
            continue
        for each in sorted(imports_of(path, name=name)):
            parts = each.split(".")
            if parts[0] == "connectors":
                problems.append(f"{name} imports {each}")
            elif parts[0] == "omnibridge" and len(parts) > 1 and not {parts[1], ".".join(parts[:2])} & allowed:
                is_module = any(known == each or known.startswith(f"{each}.") for known in ours)
                is_inside = any(each.startswith(f"{known}.") for known in ours if known != "omnibridge")
                if is_module or is_inside:  # `from omnibridge import __version__` names no module
                    problems.append(f"{name} imports {each}")
    return problems


def cycles(root: Path, *packages: str) -> list[list[str]]:
    """Import cycles between modules at import time (strongly connected groups of more than one)."""
    known = {name: path for package in packages for name, path in modules(root, package).items()}
    graph = {
        name: {each for each in imports_of(path, name=name, inside_functions=False) if each in known and each != name}
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
        for path in sorted((ROOT / "omnibridge" / package).rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and (found := VENDORS.search(path.read_text("utf-8")))
    ]

    assert named == []


def test_connectors_import_only_the_public_api() -> None:
    wrong = [
        f"{name} imports {each}"
        for name, path in modules(ROOT, "connectors").items()
        for each in imports_of(path, name=name)
        if (each.startswith("omnibridge.") and not each.startswith("omnibridge.connector"))
        or (
            each.startswith("connectors.")
            and each.split(".")[1] not in (name.split(".")[1], SHARED.get(name.split(".")[1]))
        )
    ]

    assert wrong == []


def test_core_does_not_import_extras_at_start() -> None:
    wrong = [
        f"{name}: {each}"
        for name, path in modules(ROOT, "omnibridge").items()
        for each in imports_of(path, name=name, inside_functions=False)
        if name not in LATE and (each.split(".")[0] in EXTRAS or each in LATE)
    ]

    assert wrong == []


def test_command_line_starts_without_any_connector() -> None:
    look = "[m for m in sys.modules if m.startswith('connectors')]"
    code = f"import sys, omnibridge.cli, omnibridge.bootstrap; print({look})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_rasa_connector_starts_without_its_extra() -> None:
    """The SDK is for the action server alone; it brings a web server with it."""
    if find_spec("connectors.rasa") is None:
        pytest.skip("the connector is not here")
    look = "[m for m in sys.modules if m.split('.')[0] in ('rasa_sdk', 'sanic')]"
    code = f"import sys, connectors.rasa.cli, connectors.rasa.connector, connectors.rasa.simulator; print({look})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_salesforce_crm_is_checked_without_its_extra() -> None:
    """A configuration is checked against every connector that is installed, whether its extra is there or not."""
    if find_spec("connectors.salesforce_crm") is None:
        pytest.skip("the connector is not here")
    extras = ("requests", "simple_salesforce", "phonenumbers", "jwt", "grpc", "google", "fastavro")
    look = f"[m for m in sys.modules if m.split('.')[0] in {extras}]"
    parts = "connectors.salesforce_crm, connectors.salesforce_crm.omni, connectors.salesforce_crm.simulator"
    code = f"import sys, {parts}; print({look})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_checks_can_fail(tmp_path: Path) -> None:
    """The tests above on a tree that breaks their rules."""
    for name, text in {
        "omnibridge/__init__.py": "",
        "omnibridge/config.py": "",
        "omnibridge/clock.py": "from omnibridge.storage import b\n",
        "omnibridge/bootstrap.py": "import omnibridge.config, omnibridge.engine.f\nimport connectors.x\n",
        "omnibridge/domain/a.py": "import omnibridge.storage.b\n",
        "omnibridge/storage/b.py": "from omnibridge.storage import c\n",
        "omnibridge/storage/c.py": "from . import b\nfrom ..config import Settings\n",
        "omnibridge/engine/d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import omnibridge.web.e\n",
        "omnibridge/engine/f.py": "def g():\n    import omnibridge.web.e\n",
        "omnibridge/web/e.py": "import omnibridge.engine.d\n",
        "omnibridge/novel/h.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert sorted(wrong_arrows(tmp_path)) == [
        "omnibridge.bootstrap imports connectors.x",
        "omnibridge.clock imports omnibridge.storage",
        "omnibridge.clock imports omnibridge.storage.b",
        "omnibridge.domain.a imports omnibridge.storage.b",
        "omnibridge.engine.f imports omnibridge.web.e",
        "omnibridge.novel.h: has no row in ALLOWED",
        "omnibridge.storage.c imports omnibridge.config",
        "omnibridge.storage.c imports omnibridge.config.Settings",
    ]
    assert cycles(tmp_path, "omnibridge") == [["omnibridge.storage.b", "omnibridge.storage.c"]]
