"""What stands on any page works as it stands: examples are configurations, links lead somewhere, commands exist."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
import tomllib
from functools import cache
from pathlib import Path

import pytest

from connectors.salesforce_crm.mapping import parse_mapping
from omnibridge.config_reader import check
from omnibridge.engine.plugins import installed_kinds, settings_types
from omnibridge.routing.rules_file import parse_rules
from tests.connectors.salesforce_messaging.orgs import key_pair
from tests.test_docs import commands

ROOT = Path(__file__).parent.parent.parent
WHSEC = "whsec_" + "c2FuZGJveC1zZWNyZXQtb2YtdGhlLXNpbXVsYXRvciE="
TOKEN_KEY = "k1:" + "A" * 43 + "="
GOOGLE_KEY = json.dumps(
    {
        "type": "service_account",
        "project_id": "p",
        "client_email": "a@p.iam.gserviceaccount.com",
        "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    }
)
ACCOUNT = 'rocketchat_user = "bot"\nrocketchat_token = "t"\n'
BASE = f"""
[[workspace]]
name = "main"
url = "http://127.0.0.1:3000"
user_id = "u"
auth_token = "t"
webhook_token = "long enough"

[[connection]]
name = "base"
kind = "webhook_bot"
url = "http://127.0.0.1:9"
{ACCOUNT}
"""


def tracked(*patterns: str) -> list[Path]:
    found = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / each for each in found.stdout.split()]


PAGES = tracked("*.md")


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text_of(page), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(each) for _, each in found]


EXAMPLES = [
    pytest.param(page, each, id=f"{name_of(page)}-{at}")
    for page in PAGES
    for at, each in enumerate(blocks(page, "toml"))
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 8


def content_of(name: str, page: Path) -> str:
    """Of a file that an example names, by its ending."""
    if name.endswith(".toml"):
        return next(each for each in blocks(page, "toml") if "key_field" in tomllib.loads(each))
    if name.endswith(".pem"):
        return key_pair()[0]
    return TOKEN_KEY if name.endswith("keys") else GOOGLE_KEY if name.endswith("json") else WHSEC


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_example_is_right(page: Path, example: str, tmp_path: Path) -> None:
    """Rules are rules; tables of the configuration are checked as `omnibridge config check` does, with the files that
    they name. A few keys alone belong to the table before them."""
    read = tomllib.loads(example)
    if "project" in read:  # lines of a pyproject.toml
        assert read["project"]["entry-points"]["omnibridge.connectors"]
    elif "rule" in read:
        assert parse_rules(example).rules
    elif "key_field" in read:
        assert parse_mapping(example).find
    else:
        if not any(isinstance(each, dict | list) for each in read.values()):
            pytest.skip("keys of the example before it: the page's own test reads both")
        for name in re.findall(r'_file = "(.+?)"', example):
            (tmp_path / name).write_text(content_of(name, page), "utf-8")
        named = {each["connection"] for each in read.get("analyser", []) if "connection" in each}
        others = "".join(BASE.split("\n[[connection]]")[1].replace('"base"', f'"{each}"') for each in sorted(named))
        others = f"\n[[connection]]{others}" if others else ""
        path = tmp_path / "omnibridge.toml"
        path.write_text(f"{example}\n{'' if 'workspace' in read else BASE}{others}", "utf-8")

        assert check(path, {}, settings_types(set(installed_kinds()))) == []


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(each) for each in re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)}


def test_links_lead_to_pages_and_headings() -> None:
    wrong = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)):
            if re.match(r"[a-z]+:", target) or target == "…":
                continue
            name, _, fragment = target.partition("#")
            to = (page.parent / name).resolve() if name else page
            if to.is_dir():
                to /= "README.md"
            if not to.exists() or (fragment and fragment not in anchors(to)):
                wrong.append(f"{name_of(page)}: {target}")

    assert wrong == []


def test_every_page_is_found_by_following_links() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text_of(page))
        if not re.match(r"[a-z]+:", target)
    }
    linked |= {each / "README.md" for each in linked}

    linked.add(ROOT / "README.md")  # where one begins

    assert {name_of(each) for each in PAGES if each not in linked} == {"tests/rasa_bot/README.md"}


def test_commands_of_all_pages_exist() -> None:
    """`omnibridge …` in code, and `make …`."""
    from omnibridge.cli import app

    known = {*commands(app), "omnibridge rasa actions", "omnibridge import-app-settings"}
    groups = {each.rpartition(" ")[0] for each in known if each.count(" ") == 2}
    targets = set(re.findall(r"^([a-z][a-z-]*):", text_of(ROOT / "Makefile"), re.MULTILINE))
    wrong = []
    for page in PAGES:
        code = [*re.findall(r"`([^`\n]+)`", text_of(page)), *"\n".join(blocks(page, "sh")).split("\n")]
        for line in code:
            for word, rest in re.findall(r"(?:^|bin/|&& |-u \S+ )(omnibridge)((?: [a-z][a-z-]*){1,2})", line):
                two, one = f"{word}{rest}", f"{word} {rest.split()[0]}"
                if not ({two, one} & known) and not (one in groups and one == two):
                    wrong.append(f"{name_of(page)}: {line}")
            wrong += [
                f"{name_of(page)}: {line}"
                for target in re.findall(r"^make ([a-z][a-z-]*)", line)
                if target not in targets
            ]

    assert wrong == []
