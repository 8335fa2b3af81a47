"""What tests of either chat's settings share: the page's example, and a mistake that is to be named."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnibridge.config_reader import load
from omnibridge.connector import ConfigError
from omnibridge.connector.testing import FakeContext
from tests.integration.identity.conftest import KEYS

CONNECTORS = Path(__file__).parent.parent.parent.parent / "connectors"


def made(kind: str, **given: Any) -> Any:
    """given: beside those of a desk at which nobody listens."""
    right = import_module(f"tests.connectors.{kind}.contract").NOBODY_LISTENS
    return msgspec.convert({**right, **given}, import_module(f"connectors.{kind}").connector.settings_type)


async def example(kind: str, folder: Path, **secrets: str) -> Any:
    """The whole configuration on a connector's page, started: its settings."""
    page = (CONNECTORS / kind / "README.md").read_text("utf-8")
    (text,) = re.findall(r"<!-- example -->\n```toml\n(.*?)```", page, re.DOTALL)
    (folder / "omnibridge.toml").write_text(text, "utf-8")
    for name in re.findall(r'_file = "(.+?)"', text):
        secret = {"agent_keys": KEYS, **secrets}.get(name, "a-long-random-secret-of-32-chars-x")
        (folder / name).write_text(secret, "utf-8")
    (desk,) = [each for each in load(folder / "omnibridge.toml", {}).connection if each.kind == kind]
    found = import_module(f"connectors.{kind}").connector()
    decoded = msgspec.convert(desk.options, found.settings_type)
    await found.initialize(FakeContext().make(decoded))
    await found.aclose()
    assert not any(each in repr(desk) for each in secrets.values())
    return decoded


async def refuses(kind: str, given: dict[str, Any], what: str) -> None:
    """Most of them by the settings themselves, so that `config check` says it; the rest when it is started."""
    with pytest.raises((ConfigError, msgspec.ValidationError), match=what):
        await import_module(f"connectors.{kind}").connector().initialize(FakeContext().make(made(kind, **given)))
