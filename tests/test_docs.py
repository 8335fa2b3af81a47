"""The pages say what the program does: settings, commands, make targets, version; locks name no host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer

from omnibridge import __version__
from omnibridge.config import SECTIONS
from omnibridge.config_reader import load
from omnibridge.config_sample import settings_table
from omnibridge.domain import events
from omnibridge.interaction import response_url

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SETTINGS = (ROOT / "deploy" / "SETTINGS.md").read_text("utf-8")


def between(text: str, name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->`."""
    return text.split(f"<!-- {name} -->\n")[1].split(f"\n<!-- /{name} -->")[0]


def commands(app: typer.Typer, prefix: str = "omnibridge") -> Iterator[str]:
    """`omnibridge serve`, `omnibridge config check`: every command of an app and of its groups."""
    for each in app.registered_commands:
        assert each.callback is not None
        yield f"{prefix} {each.name or each.callback.__name__.replace('_', '-')}"
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix} {group.name}")


def test_settings_table_is_up_to_date() -> None:
    """`make docs` writes it."""
    assert between(SETTINGS, "settings") == settings_table()


def test_every_setting_is_documented() -> None:
    missing = [
        f"{header} {key}"
        for model, header in SECTIONS.values()
        for key in model.model_fields
        if f"| `{header} {key}` |" not in SETTINGS
    ]

    assert missing == []


def test_every_command_is_documented() -> None:
    from omnibridge.cli import app

    groups = {f"omnibridge {each.name}": each.load() for each in entry_points(group="omnibridge.cli")}
    known = [*commands(app)]
    for prefix, group in groups.items():
        known += list(commands(group, prefix)) or [prefix]
    documented = re.findall(r"^\| `(omnibridge [a-z -]+?)(?: [A-Z\[].*)?` \|", README, re.MULTILINE)

    assert sorted(documented) == sorted(known)


def test_example_of_the_guide_is_a_whole_configuration(tmp_path: Path) -> None:
    """With the files that it names."""
    example = between((ROOT / "deploy" / "README.md").read_text("utf-8"), "example").strip("`").removeprefix("toml\n")
    (tmp_path / "omnibridge.toml").write_text(example, "utf-8")
    for name in re.findall(r'_file = "(.+)"', example):
        (tmp_path / name).write_text("a-long-random-secret\n", "utf-8")
    settings = load(tmp_path / "omnibridge.toml", {})

    assert settings.database_url == "sqlite:////var/lib/omnibridge/omnibridge.db"
    assert settings.workspace[0].webhook_token.reveal() == "a-long-random-secret"


def test_guide_names_checks_that_exist() -> None:
    """Those that the table of faults sends its reader to."""
    guide = (ROOT / "deploy" / "README.md").read_text("utf-8")
    named = {each for found in re.findall(r"doctor: ((?:`[a-z ]+`(?:, )?)+)", guide) for each in found.split("`")[1::2]}
    code = "".join(each.read_text("utf-8") for each in (ROOT / "omnibridge" / "doctor").glob("*.py"))

    assert len(named) >= 10
    assert {each for each in named if f'"{each}"' not in code} == set()


def test_guide_names_every_path_that_the_proxy_has_to_pass() -> None:
    guide = (ROOT / "deploy" / "README.md").read_text("utf-8").split("## 8. The proxy")[1].split("\n## ")[0]
    code = "".join(
        each.read_text("utf-8")
        for each in (ROOT / "omnibridge").rglob("*.py")
        if not {"sandbox", "operator"} & set(each.parts)
    )
    first = set(re.findall(r"Route\(\s*f?\"(/[a-z]+)", code)) | {response_url.PATH.rstrip("/")}

    assert len(first) > 10
    assert {each for each in first if f"`{each}" not in guide and f" {each}/" not in guide} == set()


def test_code_map_names_every_package() -> None:
    text = (ROOT / "omnibridge" / "README.md").read_text("utf-8")
    packages = {each.parent.name for each in (ROOT / "omnibridge").glob("*/__init__.py")}

    assert len(packages) > 15
    assert {each for each in packages if f"| `{each}/` |" not in text} == set()


def seed_section() -> str:
    text = (ROOT / "omnibridge" / "README.md").read_text("utf-8")
    return text.split("## Rows of the seed that were replaced\n")[1].split("\n## ")[0]


def rows_with_a_test(seed: int = 2) -> set[int]:
    """Of all tests: `test_s2_07_…` is for 7, `test_s2_20_and_23_…` for both; of a `to` only the ends count."""
    found: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = re.findall(
            rf"^(?:async )?def test_s{seed}_(\d\d)(?:_(?:to|and)_(\d\d))?_", path.read_text("utf-8"), re.MULTILINE
        )
        for first, last in names:
            found |= {int(first), int(last or first)}
    return found


@pytest.mark.parametrize(("seed", "rows"), [(1, range(1, 29)), (2, range(3, 34))])
def test_every_row_of_the_seed_has_a_test_or_a_reason(seed: int, rows: range) -> None:
    sentence = rf"^\| S{seed}-(\d\d) \| .+ \| .{{20,}} \|$"
    replaced = {int(each) for each in re.findall(sentence, seed_section(), re.MULTILINE)}
    tested = rows_with_a_test(seed)

    assert set(rows) - tested - replaced == set()
    assert replaced & tested == set()


OF_THE_THIRD_PART = {*range(1, 6), *range(10, 26), *range(30, 46), *range(50, 61)}
"""Rows of the seed's third part: interactions and their response object (to 25), bots. It has no 06 to 09."""


def test_every_row_about_interactions_and_bots_has_a_test_or_a_reason() -> None:
    text = (ROOT / "omnibridge" / "README.md").read_text("utf-8")
    replaced = {int(each) for each in re.findall(r"^\| S3-(\d\d) \| .+ \| .{20,} \|$", text, re.MULTILINE)}
    tested: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^(?:async )?def (test_s3_\w+)", path.read_text("utf-8"), re.MULTILINE):
            tested |= {int(each) for each in re.findall(r"(?:s3|and|to)_(\d\d)(?=_)", name)}

    assert OF_THE_THIRD_PART - tested - replaced == set()
    assert OF_THE_THIRD_PART & replaced & tested == set()


def test_s2_16_names_of_the_seed_lead_to_events() -> None:
    rows = re.findall(r"^\| `?(RoutingManager\.\w+|createLivechatRoom)`?.* \| `(\w+)` \|", seed_section(), re.MULTILINE)

    assert dict(rows) == {
        "RoutingManager.assignAgent": events.kind_of(events.AgentAssigned(events.UserRef("a"))),
        "RoutingManager.unassignAgent": events.kind_of(events.AgentUnassigned(events.UserRef("a"))),
        "createLivechatRoom": events.kind_of(events.ConversationStarted()),
    }


def test_every_make_target_is_documented() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)

    assert [each for each in targets if f"`make {each}`" not in README] == []
    assert set(makefile.split(".PHONY:")[1].split("\n")[0].split()) == set(targets)


def test_changelog_has_this_version() -> None:
    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert {__version__, "Unreleased"} & set(headings)


def test_version_is_the_same_everywhere() -> None:
    assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize("name", ["runtime.lock", "dev.lock", "all.lock"])
def test_lock_pins_with_hashes_and_names_no_host(name: str) -> None:
    lines = (ROOT / "requirements" / name).read_text("utf-8").splitlines()
    pins = [line for line in lines if line and line[0] not in " #"]

    assert [line for line in lines if "http:" in line or "https:" in line or line.startswith("-")] == []
    assert pins
    assert [pin for pin in pins if not re.match(r"[a-z0-9-]+==\S+ (; .+ )?\\$", pin)] == []
    assert sum(line.startswith("    --hash=sha256:") for line in lines) >= len(pins)


def test_runtime_pins_are_those_of_development() -> None:
    """What is tested is what is deployed, with whichever extra."""
    runtime, dev, every = (set(_pins(name)) for name in ("runtime.lock", "dev.lock", "all.lock"))

    assert runtime - dev == set()
    assert dev - every == set()


def _pins(name: str) -> list[str]:
    text = (ROOT / "requirements" / name).read_text("utf-8")
    return re.findall(r"^([a-z0-9-]+==[^\s\\;]+)", text, re.MULTILINE)
