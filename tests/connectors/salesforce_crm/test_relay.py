"""The whole relay with a CRM beside it: hub, bot, bridge and org, each on sockets. S2-04."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest_asyncio

from omnibridge.bootstrap_records import look_at
from omnibridge.cli_operator import lines_of
from omnibridge.clock import SystemClock
from omnibridge.config_reader import check, load
from omnibridge.engine.plugins import installed_kinds, settings_types
from omnibridge.operator.actions import Order
from omnibridge.operator.trace import time_line
from omnibridge.sandbox.visitor import SandboxClient
from tests.command_line import omnibridge
from tests.conftest import MakeWorld, World
from tests.connectors.salesforce_crm.orgs import SAMPLE


class Beside:
    """A world and the org's ledger."""

    def __init__(self, world: World, org: SandboxClient) -> None:
        self.world, self.org = world, org

    async def control(self, **wish: Any) -> list[str]:
        return list((await self.org.call("POST", "/_sandbox/control", wish))["ids"])

    async def records(self, name: str) -> list[dict[str, Any]]:
        return list((await self.org.call("GET", "/_sandbox/ledger"))["records"].get(name, []))

    async def words(self, lines: int) -> str:
        """The whole transcript, once it has so many lines: one may be reported after the close."""
        async with asyncio.timeout(30):
            while True:
                words = "\n".join(each["Description"] for each in await self.records("Task"))
                if words.count("\n") == lines - 1:
                    return words
                await asyncio.sleep(0.05)

    async def ledger(self) -> dict[str, Any]:
        return dict(await self.org.call("GET", "/_sandbox/ledger"))

    async def synced(self, rows: int) -> None:
        """Until so many syncs are done."""
        async with asyncio.timeout(30):
            done = "SELECT count(*) FROM deliveries WHERE command IN ('SyncRecords', 'EraseRecords') AND state = 1"
            while self.world.rows(done)[0][0] < rows:
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def beside(make_world: MakeWorld, tmp_path: Path) -> Any:
    made: list[SandboxClient] = []

    async def make(mapping: str = SAMPLE, crm: str = "", rules: str = "") -> Beside:
        (tmp_path / "crm.toml").write_text(mapping, "utf-8")
        world = await make_world(rules=rules)
        await world.node.stop()
        told = world.sandbox.description
        configuration = (tmp_path / "omnibridge.toml").read_text("utf-8") + (
            f'[[crm]]\nname = "sales"\nkind = "salesforce_crm"\n{told["salesforce_crm_connection"]}\n'
            f'mapping_file = "crm.toml"\n{crm}\n'
        )
        (tmp_path / "omnibridge.toml").write_text(configuration, "utf-8")
        await world.begin()
        org = SandboxClient(told["salesforce_crm_url"])
        made.append(org)
        return Beside(world, org)

    yield make
    for each in made:
        await each.aclose()


async def test_s2_04_conversation_is_kept_from_start_to_close(beside: Any) -> None:
    at = await beside()
    visitor = await at.world.visitor("Vera", email="vera@example.com")
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await at.world.alice.say(visitor.rid, "I am Alice")
    await visitor.say("thank you")
    await at.world.hub.settled()
    await visitor.close()
    await at.synced(3)
    words = await at.words(6)
    (contact,), (case,) = [await at.records(each) for each in ("Contact", "Case")]

    database = at.world.node.service._database
    conversation = at.world.rows("SELECT id FROM conversations WHERE room = ?", visitor.rid)[0][0]
    line = [each.text for each in time_line(database.reader, conversation, "main", visitor.rid)]
    assert f"sales: case#1 is Case {case['Id']}" in line
    printed = [
        each for item in time_line(database.reader, conversation, "main", visitor.rid) for each in lines_of(item)
    ]
    assert any(f"record      sales: case#1 is Case {case['Id']}" in each for each in printed)
    assert any(each.startswith("SyncRecords to crm:sales, done after") for each in line)
    assert contact["Email"] == "vera@example.com" and case["ContactId"] == contact["Id"]
    assert case["Status"] == "Closed" and case["Subject"].startswith("Chat with Vera")
    said = ["echo hello", "hello", "talk to a human", "One moment, a colleague takes over.", "I am Alice", "thank you"]
    assert [line.split(": ", 1)[1] for line in words.split("\n")] == said
    assert [line.split("] ")[1].split(":")[0] for line in words.split("\n")] == [
        *("Visitor", "helper", "Visitor", "helper", "Alice Example", "Visitor")
    ]


RULES = """
[[rule]]
name = "very important"
on = "message"
when = { "crm.vip" = true, "crm.age_s" = { at_most = 600 } }
target = "agent:alice"
"""


async def test_s2_04_what_the_crm_knows_is_for_rules_and_its_link_for_staff(beside: Any) -> None:
    at = await beside(rules=RULES, crm='link_field = "crm_link"')
    await at.world.hub.control(custom_fields={"chat_key": "visitor", "crm_link": "room"})
    (known,) = await at.control(create=[["Contact", {"LastName": "Known", "Chat_Key__c": "k7f3", "VIP__c": True}]])
    visitor = await at.world.visitor(customFields=[{"key": "chat_key", "value": "k7f3", "overwrite": True}])
    await at.synced(1)
    await at.world.quiet()
    await visitor.say("echo hello")
    await visitor.wait_event("assigned", "alice")
    await at.world.quiet()
    room = (await at.world.relay.get("rooms.info", roomId=visitor.rid))["room"]
    reason = at.world.rows("SELECT reason FROM events WHERE kind = 'FactsLearned' LIMIT 1")[0][0]
    facts = at.world.rows("SELECT CAST(decision AS TEXT) FROM events WHERE reason LIKE '%very important%'")[0][0]

    assert room["livechatData"]["crm_link"].endswith("/view")
    assert reason == "sales knows 4 facts of the visitor"
    assert '"crm.vip":{"value":true,"origin":"system of records","trust":"crm"}' in facts and '"crm.age_s"' in facts
    (case,) = await at.records("Case")
    assert case["ContactId"] == known


async def test_unverified_email_changes_neither_routing_nor_the_record(beside: Any) -> None:
    at = await beside(rules=RULES)
    await at.control(create=[["Contact", {"LastName": "Known", "Email": "vera@example.com", "VIP__c": True}]])
    before = await at.records("Contact")
    visitor = await at.world.visitor("Vera", email="vera@example.com")
    await at.synced(1)
    await at.world.quiet()
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.close()
    await at.world.hub.settled()
    await at.world.quiet()

    assert await at.records("Contact") == before
    assert at.world.rows("SELECT count(*) FROM events WHERE reason LIKE '%very important%'") == [(0,)]


FILES = """
[[write]]
record = "case"
object = "Case"
when = ["close"]
[write.fields]
Subject = "Chat"
[files]
record = "case"
max_bytes = 1000
"""


async def test_files_of_the_visitor_go_to_the_case(beside: Any) -> None:
    at = await beside(FILES)
    visitor = await at.world.visitor()
    await at.world.upload(visitor, "cat.png")
    await at.world.upload(visitor, "long.png", b"x" * 1001)
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.close()
    await at.world.hub.settled()
    await at.world.quiet()
    ledger = await at.ledger()
    (file,), (case,) = ledger["records"]["ContentVersion"], ledger["records"]["Case"]

    assert (file["Title"], file["FirstPublishLocationId"]) == ("cat.png", case["Id"])
    assert ledger["texts"] == {file["Id"]: "not really a picture"}
    assert at.world.rows("SELECT count(*) FROM crm_records WHERE what LIKE 'file-%'") == [(2,)]


async def test_csat_and_tags_of_the_close_are_kept(beside: Any) -> None:
    at = await beside()
    await at.world.hub.control(custom_fields={"csat": "room"})
    visitor = await at.world.visitor()
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await at.world.hub.call(
        "POST", "/api/v1/livechat/custom.field",
        {"token": visitor.token, "key": "csat", "value": "5", "overwrite": True},
    )  # fmt: skip
    body = {"rid": visitor.rid, "comment": "Done.", "tags": ["refund", "vip"]}
    await at.world.alice.post("livechat/room.closeByUser", body)
    await at.synced(3)
    (case,) = await at.records("Case")

    assert case["Tags__c"] == "refund; vip" and case["Csat__c"] == 5


async def test_org_that_is_down_holds_up_no_message_and_gets_everything_later(beside: Any) -> None:
    at = await beside()
    await at.control(down=True)
    visitor = await at.world.visitor()
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.close()
    await at.world.hub.settled()
    async with asyncio.timeout(30):
        while not at.world.rows("SELECT 1 FROM deliveries WHERE command = 'SyncRecords' AND code <> ''"):
            await asyncio.sleep(0.02)
    waiting = at.world.rows("SELECT DISTINCT command, state FROM deliveries WHERE state <> 1")
    await at.control(down=False)
    await at.synced(2)

    assert waiting == [("SyncRecords", 0)]
    assert len(await at.records("Task")) == 1


async def test_sync_that_was_given_up_is_sent_again_by_the_operator(beside: Any) -> None:
    at = await beside(SAMPLE.replace('Status = "Completed"', 'Statuss = "Completed"'))
    visitor = await at.world.visitor()
    await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.close()
    await at.world.hub.settled()
    await at.world.quiet()
    buried = "SELECT id, code FROM deliveries WHERE command = 'SyncRecords' AND state = 3"
    ((row, code),) = at.world.rows(buried)
    path = at.world.folder / "crm.toml"
    path.write_text(path.read_text("utf-8").replace("Statuss", "Status"), "utf-8")
    await at.world.restart()
    await at.world.quiet()
    outcomes = await at.world.node.service.operator().resend(Order([row], "tester"))
    await at.world.quiet()

    assert code == "invalid-field" and [each.done for each in outcomes] == [True]
    assert len(await at.records("Task")) == 1 and await at.records("Case") == []


async def test_erasure_and_sync_by_the_operator(beside: Any) -> None:
    at = await beside()
    visitor = await at.world.visitor("Vera", email="vera@example.com")
    await visitor.say("talk to a human")
    await visitor.wait_event("assigned", "alice")
    await visitor.close()
    await at.synced(3)
    await at.world.quiet()
    whose = at.world.rows("SELECT CAST(data AS TEXT) FROM events WHERE kind = 'ConversationStarted'")[0][0]
    identity = json.loads(whose)["visitor_id"]
    ask = at.world.node.service.commands()["crm"]
    nobody = json.loads(await ask(b'{"kind":"erase","by":"tester","workspace":"main","visitor":"nobody"}'))
    wish = {"kind": "sync", "by": "tester", "workspace": "main", "room": visitor.rid}
    again = json.loads(await ask(json.dumps(wish).encode()))
    await at.synced(4)
    changes = len((await at.ledger())["changes"])
    erased = await omnibridge(at.world.folder, "crm", "erase", identity, "--json")
    await at.synced(5)
    await at.world.quiet()

    assert (nobody["deliveries"], len(again["deliveries"])) == ([], 1)
    assert erased.code == 0 and len(erased.json["deliveries"]) == 1
    assert changes == 4  # contact, case, its status, transcript: the second sync wrote nothing
    assert [await at.records(each) for each in ("Contact", "Case", "Task")] == [[], [], []]
    assert at.world.rows("SELECT count(*) FROM crm_records") == [(0,)]


async def test_live_transcript_and_edits_and_deletions(beside: Any) -> None:
    live = SAMPLE.replace('object = "Task"\nwhen = "close"', 'object = "Task"\nwhen = "live"').replace(
        "max = 400\n", ""
    )
    at = await beside(live, crm='on = ["live", "close"]\nlive_every_s = 1')
    visitor = await at.world.visitor()
    first = await visitor.say("echo hello")
    await visitor.wait_for("bot", 1)
    await visitor.edit(first, "echo hallo")
    await at.synced(1)
    (task,) = await at.records("Task")
    assert "echo hello" in task["Description"]
    await visitor.say("echo bye")
    await visitor.wait_for("bot", 2)
    await visitor.close()
    await at.world.hub.settled()
    await at.world.quiet()
    (task,) = await at.records("Task")

    said = [line.split("] ", 1)[1] for line in task["Description"].split("\n")]
    assert sorted(said) == sorted([
        "Visitor: echo hello", "helper: hello", "Visitor: [edited] echo hallo", "Visitor: echo bye", "helper: bye",
    ])  # fmt: skip
    assert said.index("helper: hello") < said.index("Visitor: echo bye") < said.index("helper: bye")


async def test_test_command_tells_what_is_left_or_wrong(beside: Any) -> None:
    at = await beside()
    (good,) = await look_at(load(at.world.folder / "omnibridge.toml", {}), SystemClock())
    await at.control(revoked=True)
    bad = await omnibridge(at.world.folder, "crm", "test")

    assert good["ok"] and "calls are left today" in good["text"]
    assert bad.code == 1 and "login-invalid_grant" in bad.out


async def test_other_mapping_takes_a_restart_and_a_wrong_one_is_refused_by_reload(beside: Any) -> None:
    at = await beside()
    path = at.world.folder / "crm.toml"
    text = path.read_text("utf-8")
    await at.world.quiet()
    same = await at.world.node.service.reload()
    assert (same.restart, same.problems) == ([], [])
    path.write_text(text.replace('Origin = "Chat"', 'Origin = "Web"'), "utf-8")
    assert (await at.world.node.service.reload()).restart == ["[[crm]] sales mapping"]
    path.write_text(text.replace("[link]", "[links]"), "utf-8")

    (problem,) = (await at.world.node.service.reload()).problems
    assert "[[crm]] sales" in problem and "links" in problem


async def test_wrong_mapping_is_refused_by_config_check_with_its_line(beside: Any) -> None:
    at = await beside()
    path = at.world.folder / "crm.toml"
    path.write_text("\n\n" + path.read_text("utf-8").replace('on_several = "none"', 'on_several = "some"'), "utf-8")
    problems = check(at.world.folder / "omnibridge.toml", {}, settings_types(set(installed_kinds())))
    (problem,) = (each for each in problems if "[[crm]]" in each)

    assert "[[crm]] sales" in problem and "mapping line 4: on_several: Invalid enum value" in problem
