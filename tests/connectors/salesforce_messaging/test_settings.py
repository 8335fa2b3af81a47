"""Settings: the page's example is a whole configuration, and each mistake is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.connectors.salesforce.settings import example, made, refuses
from tests.connectors.salesforce_messaging.orgs import key_pair

KIND = "salesforce_messaging"


async def test_example_of_the_page_is_a_whole_configuration(tmp_path: Path) -> None:
    decoded = await example(KIND, tmp_path, **{"user_verification.pem": key_pair()[0]})

    assert decoded.routing_attributes["Room_Id"] == "room"


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
    await refuses(KIND, given, what)


@pytest.mark.parametrize("given", [{"renew_s": 0}, {"history": "all"}, {"max_file_bytes": 6 << 20}, {"nonsense": 1}])
def test_value_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        made(KIND, **given)
