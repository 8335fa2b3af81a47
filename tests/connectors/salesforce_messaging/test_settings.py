"""Settings: the page's example is a whole configuration, and each mistake is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.salesforce_messaging import connector
from connectors.salesforce_messaging.settings import SalesforceMessagingSettings
from omnibridge.config_reader import load
from omnibridge.connector import ConfigError
from omnibridge.connector.testing import FakeContext
from tests.connectors.salesforce_messaging.contract import NOBODY_LISTENS
from tests.connectors.salesforce_messaging.orgs import key_pair
from tests.integration.identity.conftest import KEYS

README = Path(__file__).parent.parent.parent.parent / "connectors" / "salesforce_messaging" / "README.md"


def made(**given: Any) -> SalesforceMessagingSettings:
    return msgspec.convert({**NOBODY_LISTENS, **given}, SalesforceMessagingSettings)


async def test_example_of_the_page_is_a_whole_configuration(tmp_path: Path) -> None:
    (example,) = re.findall(r"<!-- example -->\n```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (tmp_path / "omnibridge.toml").write_text(example, "utf-8")
    for name in re.findall(r'_file = "(.+?)"', example):
        secrets = {"user_verification.pem": key_pair()[0], "agent_keys": KEYS}
        (tmp_path / name).write_text(secrets.get(name, "a-long-random-secret-of-32-chars-x"), "utf-8")
    settings = load(tmp_path / "omnibridge.toml", {})
    (desk,) = [each for each in settings.connection if each.kind == "salesforce_messaging"]
    decoded = msgspec.convert(desk.options, SalesforceMessagingSettings)
    found = connector()
    await found.initialize(FakeContext().make(decoded))
    await found.aclose()

    assert decoded.routing_attributes["Room_Id"] == "room"
    assert decoded.user_key not in repr(desk)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"url": "http://acme.my.salesforce-scrt.com"}, "url must begin with https"),
        ({"org_id": "00D"}, "org_id: a Salesforce id has 15 or 18"),
        ({"es_developer_name": ""}, "es_developer_name is missing"),
        ({"routing_attributes": {"Room Id": "room"}}, "'Room Id' is no API name"),
        ({"routing_attributes": {"Room": "a b"}}, "'a b' is no fact"),
        ({"routing_attributes": {"A": "room"}, "fixed_attributes": {"A": "x"}}, "A stands in routing_attributes and"),
        ({"history": "summary"}, "needs summary_fact"),
        ({"language": "English"}, "language is one such as"),
        ({"user_fact": "visitor.id"}, "user_fact is of use with user_key only"),
        ({"user_key": "x"}, "user_key needs user_key_id"),
        ({"user_key": "x", "user_key_id": "k", "user_issuer": "i"}, "is not an RSA private key"),
    ],
)
async def test_mistake_is_named(given: dict[str, Any], what: str) -> None:
    """Most of them by the settings themselves, so that `config check` says it; the rest when it is started."""
    with pytest.raises((ConfigError, msgspec.ValidationError), match=what):
        await connector().initialize(FakeContext().make(made(**given)))


@pytest.mark.parametrize("given", [{"renew_s": 0}, {"history": "all"}, {"max_file_bytes": 6 << 20}, {"nonsense": 1}])
def test_value_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        made(**given)
