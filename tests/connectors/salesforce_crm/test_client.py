"""simple-salesforce over real sockets: log-in, tokens, time-outs, refusals, limits; and nothing private in words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.salesforce_crm.budget import Budget
from connectors.salesforce_crm.client import Client, quoted
from connectors.salesforce_crm.org import ORG
from connectors.salesforce_crm.simulator import CLIENT_SECRET, USERNAME
from connectors.salesforce_crm.trouble import KINDS, Trouble, from_answer
from omnibridge.connector import DeliveryError, DeliveryRejected, DeliveryRetryable, DeliveryUncertain
from tests.connectors.salesforce_crm.orgs import SAMPLE, Conversation, Desk

ASKED = quoted("SELECT Id FROM Contact WHERE Email = {}", "vera@example.com")


def client(org: Desk, **settings: Any) -> Client:
    return Client(org.settings(**settings))


async def trouble_of(work: Any) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await work
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return caught.value


async def test_one_login_serves_all_threads(org: Desk) -> None:
    crm = client(org)
    await asyncio.gather(*(crm.query(ASKED, "Contact") for _ in range(20)))
    await crm.aclose()

    assert org.simulator.logins == ["client_credentials"]
    assert org.simulator.calls["GET query"] == 20 == crm.budget.spent


async def test_token_that_another_api_refuses_is_thrown_away_without_holding_up_the_loop(org: Desk) -> None:
    crm = client(org)
    access = await crm.access()
    assert access.token in org.simulator.tokens and access.org == ORG and access.instance == org.url
    crm._login._lock.acquire()  # as a log-in that is under way
    waits = threading.Timer(30, crm._login._lock.release)
    waits.start()  # if the loop is held up, it is not for ever
    refusing = asyncio.create_task(crm.refused(access))
    await asyncio.wait({refusing}, timeout=0.02)
    assert waits.is_alive() and not refusing.done()
    waits.cancel()
    crm._login._lock.release()
    await refusing
    assert (await crm.access()).token != access.token
    await crm.aclose()


async def test_jwt_bearer(org: Desk) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    crm = client(org, flow="jwt", username=USERNAME, private_key=pem)
    assert (await trouble_of(crm.query(ASKED, "Contact"))).code == "login-invalid_grant"  # no certificate there yet
    await crm.aclose()
    org.simulator.jwt_key = key.public_key()
    crm = client(org, flow="jwt", username=USERNAME, private_key=pem)
    assert await crm.query(ASKED, "Contact") == ([], 0)
    await crm.aclose()

    assert [each.rsplit(":", 1)[-1] for each in org.simulator.logins] == ["jwt-bearer", "jwt-bearer"]


async def test_private_key_that_is_none_is_not_repeated(org: Desk) -> None:
    crm = client(org, flow="jwt", username=USERNAME, private_key="-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n")
    trouble = await trouble_of(crm.query(ASKED, "Contact"))
    await crm.aclose()

    assert trouble.kind == "login" and "c2VjcmV0" not in str(trouble)


async def test_expired_token_is_replaced_and_the_call_repeated(org: Desk) -> None:
    crm = client(org)
    await crm.query(ASKED, "Contact")
    org.simulator.tokens.clear()
    await asyncio.gather(*(crm.upsert("Case", "Omnibridge_Key__c", f"k{n}", {"Subject": "x"}) for n in range(8)))
    await crm.aclose()

    assert len(org.all("Case")) == 8
    assert 2 <= len(org.simulator.logins) <= 6  # threads that were refused the same token share one new one


async def test_token_that_is_refused_again_and_again_ends(org: Desk) -> None:
    """The library alone would log in a thousand times (reference 3.2 b)."""
    crm = client(org)
    org.simulator.token_s = -1
    trouble = await trouble_of(crm.update("Contact", "0035g00000000001AA"[:15], {"LastName": "x"}))
    await crm.aclose()

    assert trouble.kind == "session" and len(org.simulator.logins) == 2


async def test_tokens_that_are_given_and_not_taken_do_not_use_up_the_log_ins(org: Desk) -> None:
    crm = client(org)
    org.simulator.token_s = -1
    troubles = [await trouble_of(crm.query(ASKED, "Contact")) for _ in range(6)]
    await crm.aclose()

    assert [each.kind for each in troubles] == ["session"] * 2 + ["login"] * 4 and len(org.simulator.logins) == 4


async def test_login_that_is_refused_is_not_tried_again_at_once(org: Desk) -> None:
    crm = client(org, client_secret="wrong")
    first = await trouble_of(crm.query(ASKED, "Contact"))
    second = await trouble_of(crm.query(ASKED, "Contact"))
    await crm.aclose()

    assert first.code == second.code == "login-invalid_client" and len(org.simulator.logins) == 1
    delivery = second.as_delivery()
    assert isinstance(delivery, DeliveryRetryable) and 50 < (delivery.retry_after_s or 0) < 63


async def test_user_whose_consent_was_taken_back(org: Desk) -> None:
    org.simulator.revoked = True
    crm = client(org)
    assert (await trouble_of(crm.query(ASKED, "Contact"))).code == "login-invalid_grant"
    await crm.aclose()


async def test_calls_have_time_outs_although_the_library_gives_none(org: Desk) -> None:
    org.simulator.delay_ms = 1500
    crm = client(org, read_timeout_s=0.7)
    trouble = await trouble_of(crm.upsert("Case", "Omnibridge_Key__c", "k", {"Subject": "x"}))
    await crm.aclose()

    assert isinstance(trouble.as_delivery(), DeliveryUncertain) and trouble.code == "read-timeout"


@pytest.mark.parametrize("after", ["", "X: y\r\n\r\n"])
async def test_answer_that_comes_a_byte_at_a_time_holds_no_thread(org: Desk, after: str) -> None:
    """A time-out is between two bytes. after: with it, it is the body that never ends, else the headers."""
    closed = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n{after}".encode())
        with contextlib.suppress(ConnectionError):
            while not closed.is_set():
                writer.write(b"x")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), 0.05)
        writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    crm = client(org, url=f"http://127.0.0.1:{port}", connect_timeout_s=0.2, read_timeout_s=0.2, workers=1)
    try:
        trouble = await asyncio.wait_for(trouble_of(crm.query(ASKED, "Contact")), 10)
    finally:
        closed.set()
        server.close()
        await crm.aclose()

    assert trouble.kind == "not-sent" and trouble.name == "login"


async def test_org_that_cannot_be_reached(org: Desk) -> None:
    crm = client(org, url="http://127.0.0.1:9")
    trouble = await trouble_of(crm.query(ASKED, "Contact"))
    await crm.aclose()

    assert trouble.kind == "not-sent" and isinstance(trouble.as_delivery(), DeliveryRetryable)


@pytest.mark.parametrize(
    ("failure", "kind", "delivery"),
    [
        ({"status": 400, "code": "UNABLE_TO_LOCK_ROW"}, "lock", DeliveryRetryable),
        ({"status": 403, "code": "REQUEST_LIMIT_EXCEEDED"}, "limit", DeliveryRetryable),
        ({"status": 403, "code": "API_DISABLED_FOR_ORG"}, "closed", DeliveryRetryable),
        ({"status": 400, "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION"}, "refused", DeliveryRejected),
        ({"status": 400, "code": "DUPLICATES_DETECTED"}, "duplicate", DeliveryRejected),
        ({"status": 403, "code": "INSUFFICIENT_ACCESS"}, "refused", DeliveryRejected),
        ({"status": 404, "code": "NOT_FOUND"}, "missing", DeliveryRejected),
        ({"status": 300, "body": '["/a", "/b"]'}, "several", DeliveryRejected),
        ({"status": 503, "html": True}, "busy", DeliveryRetryable),
        ({"status": 503, "code": "SERVER_UNAVAILABLE"}, "busy", DeliveryRetryable),
        ({"status": 429, "html": True}, "busy", DeliveryRetryable),
        ({"status": 500, "code": "UNKNOWN_EXCEPTION"}, "uncertain", DeliveryUncertain),
        ({"status": 502, "html": True}, "uncertain", DeliveryUncertain),
        ({"status": 401, "html": True, "count": 2}, "session", DeliveryRetryable),
        ({"status": 200, "body": "<html>"}, "uncertain", DeliveryUncertain),
    ],
)
async def test_refusals_by_class(org: Desk, failure: dict[str, Any], kind: str, delivery: type[DeliveryError]) -> None:
    crm = client(org)
    org.simulator.fail_next = [{"match": "POST Case", **failure}]
    trouble = await trouble_of(crm.create("Case", {"Subject": "x"}))
    await crm.aclose()

    assert trouble.kind == kind and type(trouble.as_delivery()) is delivery


def test_every_code_of_the_table_is_a_code() -> None:
    assert {from_answer(400, [{"errorCode": each}], "X").kind for each in KINDS} == set(KINDS.values())
    assert from_answer(400, [{"errorCode": "vera@example.com"}], "X").code == "HTTP_400"


@pytest.mark.parametrize(("pages", "taken"), [(1, 2), (2, 4), (9, 5)])
async def test_as_many_pages_are_read_as_wanted(org: Desk, pages: int, taken: int) -> None:
    for _ in range(5):
        org.org.create("Contact", {"LastName": "x", "Email": "vera@example.com"})
    org.simulator.page = 2
    crm = client(org)
    rows, total = await crm.query(ASKED, "Contact", pages)
    await crm.aclose()

    assert (len({each["Id"] for each in rows}), total) == (taken, 5)


async def test_nothing_private_is_logged_or_raised(org: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Addresses, names, words, SOQL, tokens, secrets: in no log line at DEBUG, no error, no traceback."""
    caplog.set_level(logging.DEBUG)
    crm, seen = await org.use(SAMPLE.replace('Origin = "Chat"', 'Orrigin = "Chat"'), read_timeout_s=1.0), []
    one = Conversation(visitor_name="Vera O'Secret")
    one.say("my secret words")
    faults: list[dict[str, Any]] = [
        {"status": 400, "code": "X", "message": "Vera O'Secret vera@example.com"},
        {"status": 500, "html": True},
        {"status": 401, "html": True, "count": 9},
        {"status": 200, "body": "vera@example.com"},
    ]
    for fault in faults:
        org.simulator.fail_next = [{"match": "GET query", **fault}]
        with pytest.raises(DeliveryError) as caught:
            await crm.sync(one.snapshot("handover"))
        seen += traceback.format_exception(caught.value)
    org.simulator.fail_next = []
    org.simulator.delay_ms = 1300
    with pytest.raises(DeliveryError) as caught:
        await crm.sync(one.snapshot("handover"))
    seen += traceback.format_exception(caught.value)
    org.simulator.delay_ms = 0
    with pytest.raises(DeliveryRejected) as rejected:
        await crm.sync(one.snapshot("handover"))
    seen += traceback.format_exception(rejected.value)
    words = "".join([*seen, *(each.getMessage() for each in caplog.records), str(org.context.lines)])

    token = next(iter(org.simulator.tokens), "00D5g")
    assert not re.search(
        rf"secret words|O.Secret|vera@|SELECT|{CLIENT_SECRET}|{re.escape(token)}", words, re.IGNORECASE
    )
    assert "INVALID_FIELD" in words and "crm_call_failed" in words


class Hand:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(budget: Budget) -> float:
    with pytest.raises(Trouble) as caught:
        budget.spend()
    return caught.value.pause_s


def test_own_budget_is_of_the_last_24_hours() -> None:
    clock = Hand()
    budget = Budget(own=3, now=clock)
    for _ in range(3):
        budget.spend()
    assert 86_000 < refused(budget) <= 86_400
    clock.now += 86_401 + 60
    budget.spend()

    assert budget.spent == 1


def test_refusal_pauses_longer_each_time_and_one_call_tries() -> None:
    clock = Hand()
    budget = Budget(now=clock)
    budget.spend()
    budget.ended("limit")
    assert refused(budget) == 60
    clock.now += 60
    budget.spend()
    assert refused(budget) == 2  # while one tries, the others wait
    budget.ended("limit")
    assert refused(budget) == 120
    clock.now += 120
    budget.spend()
    budget.ended("")
    for _ in range(5):
        budget.spend()


def test_calls_that_are_refused_together_are_one_refusal() -> None:
    clock = Hand()
    budget = Budget(now=clock)
    for _ in range(4):
        budget.spend()
    for _ in range(4):
        budget.ended("limit")
    assert refused(budget) == 60


def test_what_others_need_is_left_to_them() -> None:
    clock = Hand()
    budget = Budget(reserve_percent=20, now=clock)
    budget.told("api-usage=80/100")
    budget.spend()
    budget.told("api-usage=81/100; per-app-api-usage=17/250(appName=sample-connected-app)")
    assert refused(budget) == 300
    budget.told("per-app-api-usage=17/250(appName=x)")
    clock.now += 301
    budget.spend()


async def test_s2_04_quota_of_the_org_is_met_by_a_pause(org: Desk) -> None:
    org.simulator.limit = 1
    crm = client(org)
    await crm.query(ASKED, "Contact")
    for _ in range(3):
        trouble = await trouble_of(crm.query(ASKED, "Contact"))
        assert trouble.kind == "limit"
    await crm.aclose()

    assert org.simulator.failures["REQUEST_LIMIT_EXCEEDED"] == 1  # the others were not even sent


async def test_check_tells_what_is_left(org: Desk) -> None:
    crm = await org.use()
    assert await crm.check() == "answers; 99999 of 100000 calls are left today"
    org.org.custom -= {"VIP__c", "Tags__c"}
    with pytest.raises(DeliveryRejected, match="Contact has no VIP__c; Case has no Tags__c: make them"):
        await crm.check()
    org.org.custom |= {"VIP__c", "Tags__c", "Plain__c"}
    other = SAMPLE.replace("Omnibridge_Key__c", "Plain__c").replace('Origin = "Chat"', 'CaseNumber = "17"')
    with pytest.raises(DeliveryRejected) as caught:
        await (await org.use(other)).check()
    assert "Case: CaseNumber may not be written; Case: Plain__c is no external id" in str(caught.value)
    org.simulator.down = True
    with pytest.raises(DeliveryRetryable):
        await crm.check()


def test_values_are_quoted_by_the_library() -> None:
    assert quoted("x = {}", "a' OR Name != '") == "x = 'a\\' OR Name != \\''"
