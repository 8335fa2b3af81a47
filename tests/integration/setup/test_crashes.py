"""A setup that dies before or after any of its changes is finished by the next one, or undone as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omnibridge.rocketchat.calls import Answer
from omnibridge.setup import record, step
from omnibridge.setup.admin import Admin
from omnibridge.setup.record import write_secret
from tests.integration.setup.conftest import MakeSite, Site, problems, states


class Crash(BaseException):
    """The process is gone: nothing of ours may catch it."""


class MortalAdmin(Admin):
    """Dies at the n-th request that changes something: before it is sent, or after it was answered."""

    dies_at, is_after, n_writes = 0, False, 0

    async def _exchange(self, method: str, path: str, **wish: Any) -> Answer:
        if method == "GET":
            return await super()._exchange(method, path, **wish)
        type(self).n_writes += 1
        if self.n_writes == self.dies_at and not self.is_after:
            raise Crash
        answer = await super()._exchange(method, path, **wish)
        if self.n_writes == self.dies_at:
            raise Crash
        return answer


async def dies(site: Site, n: int, is_after: bool, *, undoing: bool = False) -> bool:
    """Whether there was an n-th write to die at."""
    MortalAdmin.dies_at, MortalAdmin.is_after, MortalAdmin.n_writes = n, is_after, 0
    site.admin_type = MortalAdmin
    try:
        await (site.undo() if undoing else site.set_up())
    except Crash:
        return True
    finally:
        site.admin_type = Admin
    return False


def shape(workspace: dict[str, Any]) -> dict[str, Any]:
    """What must be the same whichever run made it: without ids, random addresses and tokens."""
    users = {
        name: {key: each[key] for key in ("roles", "active", "status_livechat", "tokens")}
        for name, each in workspace["users"].items()
    }
    tokens = ("Livechat_secret_token", "Livechat_External_Queue_Token")
    settings = {name: each for name, each in workspace["settings"].items() if name not in tokens}
    return {**workspace, "users": users, "settings": settings}


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_every_step_can_be_the_last(make_site: MakeSite, is_after: bool) -> None:
    site = await make_site(external=True)
    empty = await site.workspace()
    await site.set_up()
    whole = shape(await site.workspace())
    await site.undo()
    n = 0
    while await dies(site, n := n + 1, is_after):
        report = await site.set_up()
        assert (problems(report), shape(await site.workspace())) == ([], whole), n
        relay, bot = (site.folder / name for name in ("main-relay.secret", "helper.secret"))
        owners = [site.sandbox.hub.by_token[each.read_text().strip()].username for each in (relay, bot)]
        assert owners == ["ob-relay", "ob-bot"], n
        await site.undo()
        assert (await site.workspace(), list(site.folder.iterdir())) == (empty, []), n

        await dies(site, n, is_after)
        await site.undo()
        assert (await site.workspace(), list(site.folder.iterdir())) == (empty, []), n
    assert n > 17  # so many requests change something


async def test_dies_right_after_writing_a_file(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record or secret: the next write to the disk or to the hub never comes."""
    site = await make_site()
    empty = await site.workspace()
    left = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal left
        write_secret(path, content)
        left -= 1
        if left == 0:
            raise Crash

    for module in (record, step):
        monkeypatch.setattr(module, "write_secret", write)
    n, is_dead = 0, True
    while is_dead:
        n += 1
        left = n
        is_dead = await dies(site, 0, False)
        left = 0
        assert (problems(await site.set_up()), len(list(site.folder.glob("*.secret")))) == ([], 3), n
        await site.undo()
        assert (await site.workspace(), list(site.folder.iterdir())) == (empty, []), n
    assert n > 15


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_undo_goes_on_as_well(make_site: MakeSite, is_after: bool) -> None:
    site = await make_site(licence="enterprise", provisioner="ob-maker", external=True)
    empty = await site.workspace()
    n = 0
    while True:
        await site.set_up()
        n += 1
        if not await dies(site, n, is_after, undoing=True):
            break
        report = await site.undo()
        assert (problems(report), await site.workspace(), list(site.folder.iterdir())) == ([], empty, []), n
    assert n > 5


@pytest.mark.parametrize("kind", ["half", "after_effect"])
async def test_a_user_whose_making_was_not_confirmed(make_site: MakeSite, kind: str) -> None:
    site = await make_site()
    empty = await site.workspace()
    await site.hub.control(fail_next=[{"path": "users.create", "status": 500, kind: True}])
    report = await site.set_up()

    assert (problems(report), states(report)) == ([], {"done"})
    await site.undo()
    assert await site.workspace() == empty


async def test_a_refusal_stops_there_and_names_the_step(make_site: MakeSite) -> None:
    site = await make_site()
    refusal = {"success": False, "error": "unauthorized"}
    await site.hub.control(fail_next=[{"path": "omnichannel/integrations", "status": 403, "body": refusal}])
    report = await site.set_up()

    assert report.exit_code == 1 and [state for _, state in report.steps][-1] == "failed"
    assert "view-livechat-manager" in problems(report)[0]
    again = await site.set_up()
    assert [each.name for each, _ in again.steps] == ["webhook"] and again.exit_code == 0
