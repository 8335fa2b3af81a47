"""README of the companion app against its app.json, settings and handlers."""

from __future__ import annotations

import json
import re
from pathlib import Path

APP = Path(__file__).parent.parent.parent / "deploy" / "rocketchat-app"
README = (APP / "README.md").read_text("utf-8")
MANIFEST = json.loads((APP / "app.json").read_text("utf-8"))


def section(name: str) -> str:
    return README.split(f"## {name}\n")[1].split("\n## ")[0]


def first_cells(name: str) -> list[str]:
    return [each for row in re.findall(r"^\| (`.+?) \|", section(name), re.MULTILINE) for each in row.split("`")[1::2]]


def test_s2_25_permissions_are_explained() -> None:
    assert first_cells("What it may do") == [each["name"] for each in MANIFEST["permissions"]]


def test_s1_17_one_installation_has_each_setting_explained() -> None:
    source = (APP / "src" / "settings.ts").read_text("utf-8")
    groups = re.findall(r"'(\w+)'", source.split("GROUPS: Array<Group> = ")[1].split("]")[0])
    named = re.findall(r"setting\('(\w+)'", source) + [f"send_{each}" for each in groups]

    assert sorted(first_cells("Settings")) == sorted(named)


def test_types_and_actions_are_explained() -> None:
    app = (APP / "OmnibridgeApp.ts").read_text("utf-8")
    types = set(re.findall(r"'((?:room|agent|guest|message|department)\.\w+|interaction)'", app))
    actions = set(re.findall(r"asked\.action [!=]== '([\w.]+)'", (APP / "src" / "requests.ts").read_text("utf-8")))

    assert set(first_cells("What it sends")) >= types | {"outbox.dropped"}
    assert set(first_cells("What it answers")) == actions
    assert len(types) == 12
    assert MANIFEST["id"] in section("What it answers")
    assert f"omnibridge_{MANIFEST['version']}.zip" in section("Install")


def test_lock_pins_with_hashes_and_names_no_host() -> None:
    packages = json.loads((APP / "package-lock.json").read_text("utf-8"))["packages"]
    pinned = {name: each for name, each in packages.items() if name}

    assert len(pinned) == 5
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in pinned.values())
