"""sendToBot: clients tell bots what was pressed, and who pressed it is for us to say."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

from omnibridge.sandbox.visitor import Visitor
from omnibridge.storage import api_tokens
from omnibridge.storage.api_tokens import ApiToken, new_token
from tests.integration.botapi.conftest import Api, MakeApi

SCHEMA = json.loads((files("omnibridge.interaction") / "response_object.schema.json").read_text("utf-8"))
ORIGIN = "https://shop.example.com"
KEYBOARD = {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]}


class Client:
    """Whoever calls; headers: what he shows of himself."""

    def __init__(self, api: Api, **headers: str) -> None:
        self._api = api
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def send(self, body: Any, method: str = "POST", bot: str = "helper", **headers: str) -> dict[str, Any]:
        """The answer, with `_status` and `_headers`."""
        url = f"{self._api.world.node.url}/api/v1/bots/{bot}/interactions"
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._api.session.request(method, url, json=body, headers={**self._headers, **more}) as answer:
            found = await answer.json(content_type=None) if answer.status != 204 else {}
            return {**found, "_status": answer.status, "_headers": answer.headers}


async def scoped(api: Api, scopes: str = "interact") -> Client:
    database = api.world.node.service._database
    assert database
    identity, token, digest = new_token()
    row = ApiToken(identity, "shop", scopes, "main", "crm", 1, "test")
    await database.writer.submit(lambda cursor: api_tokens.add(cursor, row, digest))
    return Client(api, Authorization=f"Bearer {token}")


async def asked(api: Api) -> tuple[Visitor, dict[str, Any], str]:
    """(visitor, the bot's message with a button, its id at the hub)."""
    visitor = await api.world.visitor()
    chat_id = (await api.updates(1))[0]["message"]["chat"]["id"]
    sent = await api.call("sendMessage", chat_id=chat_id, text="Sure?", reply_markup=KEYBOARD)
    return visitor, sent, (await visitor.wait_for("bot", 1))[0]["id"]


async def allow_origin(api: Api) -> None:
    file = api.world.folder / "omnibridge.toml"
    told = file.read_text("utf-8").replace("[server]\n", f'[server]\nallowed_origins = ["{ORIGIN}"]\n')
    file.write_text(told, "utf-8")
    await api.world.restart()


async def query(api: Api, count: int = 2) -> dict[str, Any]:
    return dict((await api.updates(count))[count - 1]["callback_query"])


async def test_s3_52_user_id_of_the_client_is_ignored(make_api: MakeApi) -> None:
    api = await make_api()
    visitor, _, _ = await asked(api)
    client = await scoped(api)
    forged = {"user": {"id": "admin", "name": "Root"}, "user_id": "admin", "userId": "admin", "trigger_id": "forged"}
    done = await client.send({"room": visitor.rid, "action": "a1", "value": "y", **forged})
    found = await query(api)

    assert (done["_status"], done["status"], done["conversation"]) == (202, "accepted", visitor.rid)
    assert found["omnibridge"]["user"]["username"] == "shop"
    assert found["omnibridge"]["user"]["id"].startswith("api:")
    assert found["omnibridge"]["trigger_id"] == ""
    assert "admin" not in json.dumps(found) and "forged" not in json.dumps(found)
    audit = api.world.rows("SELECT action, room, status, detail FROM api_audit")
    assert audit == [("interaction POST", visitor.rid, 202, "helper: a1")]


async def test_s3_53_action_and_value_become_a_whole_callback_query(make_api: MakeApi) -> None:
    """From the visitor's own page: the hub says that the token is his, and nothing is shown in the room."""
    api = await make_api()
    await allow_origin(api)
    visitor, sent, hub_id = await asked(api)
    page = Client(api, X_Visitor_Token=visitor.token, Origin=ORIGIN)
    before = len(await visitor.history())
    done = await page.send({"room": visitor.rid, "message_id": hub_id, "actions": [{"action_id": "a1", "value": "y"}]})
    found = await query(api)

    assert done["_status"] == 202
    assert done["_headers"]["access-control-allow-origin"] == ORIGIN
    assert set(found) == {"id", "from", "message", "chat_instance", "data", "omnibridge"}
    told = found["omnibridge"]["response_object"]
    Draft202012Validator(SCHEMA).validate(told)
    assert (told["type"], told["channel"]["id"], told["user"]["roles"]) == ("block_actions", visitor.rid, ["visitor"])
    assert (told["original_message"]["_id"], told["original_message"]["msg"]) == (hub_id, "Sure?\n1. Yes")
    assert (told["actions"][0]["action_id"], told["actions"][0]["value"]) == ("a1", "y")
    assert (found["data"], found["message"]) == ("y", sent)
    assert found["from"] == {"id": sent["chat"]["id"], "is_bot": False, "first_name": "Vera"}
    assert found["omnibridge"]["user"]["is_visitor"] is True
    assert visitor.token not in json.dumps(found)
    assert len(await visitor.history()) == before


async def test_s3_35_and_52_staff_prove_themselves_at_the_hub(make_api: MakeApi) -> None:
    api = await make_api()
    visitor, _, _ = await asked(api)
    world = api.world
    body = {"room": visitor.rid, "action": "a1", "value": "x"}
    relay = Client(api, **{name.replace("-", "_"): value for name, value in world.relay._headers.items()})
    assert (await relay.send(body))["_status"] == 202
    found = await query(api)
    wrong = await Client(api, X_User_Id=world.relay.user_id, X_Auth_Token="x" * 43).send(body)
    other = await world.visitor("Otto")
    stranger = await Client(api, X_Visitor_Token=other.token).send(body)
    nobody = await Client(api).send(body)

    assert found["omnibridge"]["user"]["id"] == world.relay.user_id
    assert found["from"]["username"] == found["omnibridge"]["user"]["username"] != ""
    assert [each["_status"] for each in (wrong, stranger, nobody)] == [401, 401, 401]


async def test_what_is_wrong_is_refused_with_what_to_do(make_api: MakeApi) -> None:
    api = await make_api()
    visitor, _, _ = await asked(api)
    client, reader = await scoped(api), await scoped(api, "read")
    good: dict[str, Any] = {"room": visitor.rid, "action": "a1", "value": "x"}
    told = {
        400: [await client.send([good])],
        401: [await client.send(good, Authorization="Bearer obt_x_y")],
        403: [await reader.send(good), await client.send(good, Origin="https://evil.example.com")],
        404: [await client.send({**good, "room": "nowhere"}), await client.send(good, bot="nobody")],
        405: [await client.send(None, "GET")],
        422: [
            await client.send({"room": visitor.rid, "value": "x"}),
            await client.send({"room": visitor.rid, "action": "a1"}),
            await client.send({"action": "a1", "value": "x"}),
            await client.send({**good, "message_id": "another"}),
            await client.send({**good, "value": {"no": "text"}}),
            await client.send({"room": visitor.rid, "actions": [{"action_id": "a", "value": "x", "type": "slider"}]}),
        ],
    }

    for status, answers in told.items():
        assert [each["_status"] for each in answers] == [status] * len(answers)
        assert all(each["detail"] for each in answers)
    assert "access-control-allow-origin" not in told[403][1]["_headers"]
    assert len(await api.updates(1)) == 1, "none of it reached the bot"


async def test_same_key_is_the_same_interaction(make_api: MakeApi) -> None:
    api = await make_api()
    visitor, _, _ = await asked(api)
    client = await scoped(api)
    body = {"room": visitor.rid, "action": "a1", "value": "x"}
    answers = [await client.send(body, Idempotency_Key=key) for key in ("one", "one", "two")]
    await api.updates(3)
    await api.world.quiet()

    assert answers[0]["id"] == answers[1]["id"] != answers[2]["id"]
    assert len(await api.updates(3)) == 3


async def test_preflight_of_a_page_that_may(make_api: MakeApi) -> None:
    api = await make_api()
    await allow_origin(api)
    asked_by = Client(api, Origin=ORIGIN, Access_Control_Request_Method="POST")
    done = await asked_by.send(None, "OPTIONS")
    other = await asked_by.send(None, "OPTIONS", Origin="https://evil.example.com")

    assert (done["_status"], done["_headers"]["access-control-allow-methods"]) == (204, "POST")
    assert "x-visitor-token" in done["_headers"]["access-control-allow-headers"]
    assert other["_status"] == 403
