"""`setup --external`: Rocket.Chat's routing method asks us; done, in part, judged, and taken back."""

from __future__ import annotations

from omnibridge.sandbox.settings_table import DEFAULTS
from tests.integration.setup.conftest import MakeSite, problems, states

URL, TOKEN = "Livechat_External_Queue_URL", "Livechat_External_Queue_Token"
METHOD, BOT_FIRST = "Livechat_Routing_Method", "Livechat_assign_new_conversation_to_bot"


async def test_makes_the_holding_bot_and_sets_whom_is_asked(make_site: MakeSite) -> None:
    site = await make_site(external=True)
    await site.hub.control(external_url="http://127.0.0.1:9/another", external_token="another's")
    before = await site.workspace()
    dry = await site.set_up(dry_run=True)
    assert await site.workspace() == before
    report = await site.set_up()
    after = await site.workspace()

    assert (problems(report), states(report)) == ([], {"done"})
    assert [each.text for each, _ in dry.steps] == [each.text for each, _ in report.steps]
    holding = after["users"]["omnibridge-holding"]
    assert (holding["roles"], holding["status_livechat"], holding["tokens"]) == (
        ["bot", "livechat-agent"],
        "available",
        [],
    )
    settings = after["settings"]
    assert (settings[METHOD], settings[BOT_FIRST]) == ("External", False)
    assert settings[URL] == "http://127.0.0.1:9/external/main"
    assert settings[TOKEN] == (site.folder / "main-external.secret").read_text().strip()
    told = next(each for each in report.findings if each.check == "external routing")
    assert told.status == "warning" and "nobody is online" in told.found

    again = await site.set_up()
    assert (again.steps, again.exit_code) == ([], 0)
    undone = await site.undo()
    assert (problems(undone), await site.workspace()) == ([], before)
    assert not list(site.folder.iterdir())


async def test_method_is_changed_last_and_taken_back_first(make_site: MakeSite) -> None:
    """So a hub is never left that asks nobody."""
    site = await make_site(external=True)
    await site.set_up()
    done = [each["name"] for each in (await site.hub.ledger())["accounts"] if each["what"] == "setting"]
    await site.undo()
    undone = [each["name"] for each in (await site.hub.ledger())["accounts"] if each["what"] == "setting"][len(done) :]

    assert done[-4:] == [URL, TOKEN, BOT_FIRST, METHOD]
    assert undone[:4] == [METHOD, BOT_FIRST, TOKEN, URL]


async def test_what_others_changed_since_is_left(make_site: MakeSite) -> None:
    site = await make_site(external=True)
    await site.set_up()
    await site.hub.control(routing_method="Manual_Selection")
    report = await site.undo()
    settings = (await site.workspace())["settings"]

    assert [each.check for each in report.findings if each.status == "warning"] == ["undo setting"]
    assert (settings[METHOD], settings[BOT_FIRST], settings[URL]) == ("Manual_Selection", True, "")


async def test_a_holding_bot_that_is_there_must_be_right(make_site: MakeSite) -> None:
    site = await make_site(external=True)
    user = site.sandbox.hub.add_user("omnibridge-holding", "x", {"bot"}, "Holder")
    assert "livechat-agent" in problems(await site.set_up())[0]
    user.roles = {"bot", "livechat-agent"}
    user.status_livechat = "not-available"
    assert "not available" in problems(await site.set_up())[0]
    user.status_livechat = "available"
    assert problems(await site.set_up()) == []
    await site.undo()

    assert "omnibridge-holding" in await site.users()


async def test_external_is_the_way_out_where_resting_proxies_would_get_visitors(make_site: MakeSite) -> None:
    """Design 2.5: refused as it is, and fine with the routing method that asks us."""
    site = await make_site()
    site.config.write_text('[agents]\nshared_user = "frontdesk"\n')
    for name in ("agent.5f3a", "frontdesk"):
        site.sandbox.hub.add_user(name, "x", {"bot", "livechat-agent"}, name)
    found = problems(await site.set_up(dry_run=True))
    assert len(found) == 1 and "agent.5f3a" in found[0] and "frontdesk" in found[0] and "--external" in found[0]

    asking = await make_site(external=True)
    asking.config.write_text('[agents]\nshared_user = "frontdesk"\n')
    for name in ("agent.5f3a", "frontdesk"):
        asking.sandbox.hub.add_user(name, "x", {"bot", "livechat-agent"}, name)
    assert problems(await asking.set_up(dry_run=True)) == []


def test_sandbox_keeps_these_settings_in_one_place() -> None:
    assert not {URL, TOKEN} & set(DEFAULTS)
