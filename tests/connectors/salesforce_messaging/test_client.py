"""Our client against the simulated org, over sockets: its calls and tokens."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from connectors.salesforce_messaging.client import NewSession, OrgClient
from connectors.salesforce_messaging.errors import NoSession, NotVerified, TokenDead
from connectors.salesforce_messaging.pacing import Pacer
from connectors.salesforce_messaging.simulated.org import ORG_ID
from connectors.salesforce_messaging.tokens import Access, Identity
from omnibridge.connector import (
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from omnibridge.http import create_client
from tests.connectors.salesforce_messaging.listeners import client, text, visitor
from tests.connectors.salesforce_messaging.orgs import key_pair, new_id, org


async def test_every_call() -> None:
    async with visitor() as one:
        calls, access, cid = one.calls, one.access, one.cid
        await calls.create(access, cid, NewSession())
        await calls.send(access, cid, text("hello"))
        said = {"id": new_id(), "fileId": new_id(), "text": "look"}
        await calls.send_file(access, cid, said, b"\0\r\npng", 'a"b.png', "image/png")
        await calls.typing(access, cid, True)
        assert await calls.acknowledge(access, cid, ["e1", "e2"], is_read=True) is True
        one.org.org.options.receipts = False
        assert await calls.acknowledge(access, cid, ["e1"], is_read=False) is False
        assert await calls.routing_status(access, cid) == "ROUTED"
        assert await calls.conversations(access) == [cid]
        assert await calls.is_open(0) is True
        one.org.desk.send_file(cid, "a.txt", "text/plain", content="of an agent")
        rows = await calls.entries(access, cid, 0)
        shown = rows[-1].entry_payload
        assert isinstance(shown, dict)
        url = shown["abstractMessage"]["staticContent"]["attachments"][0]["url"]
        assert await calls.download(access, url) == b"of an agent"
        await calls.end_session(access, cid)
        await calls.send(access, cid, text("again"), NewSession({"topic": "hats"}, "de"))
        await calls.close(access, cid)
        assert await calls.conversations(access) == [] and await calls.conversations(access, closed_too=True) == [cid]

    kinds = [(each["kind"], each.get("text") or each.get("of") or each.get("typing")) for each in one.org.org.desk]
    assert kinds == [
        ("message", "hello"),
        ("file", "look"),
        ("typing", True),
        ("receipt", "e1"),
        ("receipt", "e2"),
        ("message", "again"),
    ]
    shown = one.org.org.desk[1]["said"]["staticContent"]["attachments"][0]
    assert (shown["name"], one.org.org.files[said["fileId"]][2]) == ("a_b.png", b"\0\r\npng")
    assert one.org.org.conversations[cid].sessions[-1].attributes == {"topic": "hats"}


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://evil.example/salesforce.com",
        "https://salesforce.com.evil.example/",
        "https://user@x.my.salesforce.com/",
        "file:///etc/passwd",
        "http://x.my.salesforce.com/a",
    ],
)
async def test_files_come_from_salesforce_only(url: str) -> None:
    async with client("https://acme.my.salesforce-scrt.com") as calls:
        with pytest.raises(DeliveryRejected, match="not fetched"):
            await calls.download(Access("t", "", "0", 0, ORG_ID), url)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 400}, DeliveryRejected),
        ({"status": 401}, TokenDead),
        ({"status": 404}, DeliveryRejected),
        ({"status": 417}, NoSession),
        ({"status": 429, "headers": {"Retry-After": "9"}}, DeliveryRetryable),
        ({"status": 500}, DeliveryUncertain),
        ({"status": 503}, DeliveryUncertain),
        ({"cut": True}, DeliveryUncertain),
        ({"cut": True, "after_effect": True}, DeliveryUncertain),
        ({"status": 500, "after_effect": True}, DeliveryUncertain),
        ({"hang": True}, DeliveryUncertain),
    ],
)
async def test_message_that_failed_is_sent_again_with_its_id_and_arrives_once(
    fault: dict[str, Any], kind: type[DeliveryError]
) -> None:
    async with visitor() as one:
        said = text("hello")
        async with client(one.org.url, timeout_s=1.0 if "hang" in fault else 30.0) as calls:
            one.org.faults.add([{"on": "message", **fault}])
            with pytest.raises(kind) as caught:
                await calls.send(one.access, one.cid, said)
            await calls.send(one.access, one.cid, said)

    assert type(caught.value) is kind and one.access.token not in str(caught.value)
    assert [each["text"] for each in one.org.org.desk] == ["hello"]


async def test_nobody_listens_is_certainly_not_processed() -> None:
    async with client("http://127.0.0.1:9") as calls:
        with pytest.raises(DeliveryRetryable) as caught:
            await calls.guest()

    assert caught.value.code == "not-sent"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"org_id": "00D"}, "org_id"),
        ({"scrt_url": "http://acme.my.salesforce-scrt.com"}, "https"),
        ({"scrt_url": "acme"}, "https"),
        ({"developer_name": ""}, "es_developer_name"),
    ],
)
async def test_settings_that_cannot_work(change: dict[str, str], words: str) -> None:
    right = {"scrt_url": "https://x", "org_id": ORG_ID, "developer_name": "x"}
    with pytest.raises(ConfigError, match=words):
        OrgClient(create_client, time.time, **{**right, **change})  # type: ignore[arg-type]


async def test_verified_user_comes_back_as_the_same_one_or_not_at_all() -> None:
    private, public = key_pair()
    async with org() as found, client(found.url) as calls:
        found.wish({"keysets": [{"issuer": "shop", "kid": "k1", "public_pem": public}]})

        async def come(kid: str = "k1") -> Access:
            return await calls.verified(Identity(private, kid, "shop").token("v7", int(time.time())), "v7")

        first, cid = await come(), new_id()
        await calls.create(first, cid, NewSession())
        await calls.revoke(first)
        with pytest.raises(TokenDead):
            await calls.send(first, cid, text("x"))
        again = await come()
        await calls.send(again, cid, text("x"))
        renewed = await calls.continuation(again)
        assert renewed.subject == again.subject == first.subject and renewed.expires_s <= again.expires_s
        with pytest.raises(NotVerified):
            await come("k2")
        found.wish({"all_are_guests": True})
        with pytest.raises(NotVerified):
            await come()
        assert first.is_verified and not (await calls.guest()).is_verified


async def test_no_session_and_pre_chat_per_session() -> None:
    async with visitor() as one:
        one.org.org.options.prechat_per_session = True
        one.org.desk.end(one.cid)
        said = text("hello")
        with pytest.raises(NoSession):
            await one.calls.send(one.access, one.cid, said)
        await one.calls.send(one.access, one.cid, said, NewSession({"a": "b"}))
        assert (await one.calls.guest()).needs_prechat

    assert [each["text"] for each in one.org.org.desk] == ["hello"]


async def test_burst_is_paced_below_the_limit_of_the_org() -> None:
    """60 messages at once, on the org's clock: nothing is refused, nothing changes places."""
    async with visitor() as one:
        clock = one.org.org.clock

        async def sleep(seconds: float) -> None:
            clock.ahead_s += seconds

        pacer = Pacer(clock.now_s, sleep)

        async def send(n: int) -> None:
            async with pacer.turn(one.cid):
                await one.calls.send(one.access, one.cid, text(str(n)))

        await asyncio.gather(*(send(n) for n in range(60)))

    assert [each["text"] for each in one.org.org.desk] == [str(n) for n in range(60)]
    assert 120 < clock.ahead_s < 130
