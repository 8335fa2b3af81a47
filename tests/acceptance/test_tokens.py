"""`omnibridge tokens …` in a process of its own: through the running server's socket, and without one."""

from __future__ import annotations

from tests.command_line import omnibridge
from tests.integration.assignment.conftest import MakeDecided, make_decided

__all__ = ["make_decided"]


async def test_token_is_made_shown_once_used_and_revoked(make_decided: MakeDecided) -> None:
    world = await make_decided(rules='default = "queue"')
    made = await omnibridge(world.folder, "tokens", "create", "router", "--system", "crm", "--json")
    token, identity = made.json["token"], made.json["id"]
    visitor = await world.visitor()
    await world.until(visitor.rid, "sends new conversations")

    assert (await world.push(visitor.rid, "0055", token))[0] == 202
    listed = await omnibridge(world.folder, "tokens", "list")
    assert f"{identity}  in force  router: assign read; main, crm" in listed.out
    assert token not in listed.out
    assert (await omnibridge(world.folder, "tokens", "revoke", identity)).code == 0
    assert (await omnibridge(world.folder, "tokens", "revoke", identity)).code == 1
    assert (await world.push(visitor.rid, "0055", token))[0] == 401


async def test_tokens_without_a_server(make_decided: MakeDecided) -> None:
    world = await make_decided()
    await world.node.stop()
    made = await omnibridge(world.folder, "tokens", "create", "router", "--system", "crm", "--scope", "read")
    wrong = await omnibridge(
        world.folder, "tokens", "create", "No!", "--system", "crm", "--scope", "everything", "--workspace", "x"
    )
    listed = await omnibridge(world.folder, "tokens", "list", "--json")
    await world.begin()

    assert (made.code, made.out[:4]) == (0, "obt_")
    assert wrong.code == 2
    assert [line.split(":")[0] for line in wrong.err.splitlines()] == [
        "--scope everything", "NAME 'No!'", "--workspace 'x'"
    ]  # fmt: skip
    assert [each["scopes"] for each in listed.json["tokens"]] == ["read"]
    assert (await world.push("room", "0055", made.out.strip()))[0] == 403
