"""`omnibridge setup` on workspaces of every version and licence: what it makes, twice, in part, and taken back."""

from __future__ import annotations

import json

import pytest

from omnibridge.doctor.rights import OF_ROLES
from omnibridge.setup.judge import OF_TOKENS, READS
from omnibridge.setup.run import Report
from tests.integration.setup.conftest import MakeSite, problems, states

FIELD = "externalAgentId"


@pytest.mark.parametrize("hub_version", ["6.14", "7.7", "8.3"])
@pytest.mark.parametrize("licence", ["community", "enterprise"])
async def test_s3_57_makes_what_is_needed_and_undoes_it(make_site: MakeSite, hub_version: str, licence: str) -> None:
    provisioner = "ob-maker" if licence == "enterprise" else ""
    site = await make_site(hub_version=hub_version, licence=licence, provisioner=provisioner)
    before = await site.workspace()

    dry = await site.set_up(dry_run=True)
    assert await site.workspace() == before
    assert not list(site.folder.iterdir())
    report = await site.set_up()
    after = await site.workspace()
    assert (problems(report), states(report), report.exit_code) == ([], {"done"}, 0)
    assert [each.text for each, _ in dry.steps] == [each.text for each, _ in report.steps]
    users = after["users"]
    assert users["ob-relay"]["roles"] == ["bot", "livechat-manager"]
    assert users["ob-bot"]["roles"] == ["bot", "livechat-agent"]
    assert users["ob-bot"]["status_livechat"] == "available"
    made = {name for name in users if name not in before["users"]}
    assert made == {"ob-relay", "ob-bot", provisioner} - {""}
    assert {tuple(users[name]["tokens"]) for name in made} == {("omnibridge",)}
    settings = after["settings"]
    assert settings["Livechat_webhookUrl"] == "http://127.0.0.1:9/webhooks/rocketchat/main"
    assert settings["Livechat_secret_token"] == (site.folder / "main-webhook.secret").read_text().strip()
    assert settings["Livechat_webhook_on_forward"] and settings["Livechat_http_timeout"] == 5000
    assert json.loads(settings["Accounts_CustomFields"])[FIELD]["modifyRecordField"]["field"] == "importIds"
    assert {path.stat().st_mode & 0o777 for path in site.folder.iterdir()} == {0o600}

    again = await site.set_up()
    assert (again.steps, again.exit_code) == ([], 0)
    assert await site.workspace() == after

    undone = await site.undo()
    assert (problems(undone), states(undone)) == ([], {"done"})
    assert await site.workspace() == before
    assert not list(site.folder.iterdir())


async def test_s2_26_provisioner_has_its_permissions_and_no_more(make_site: MakeSite) -> None:
    site = await make_site(licence="enterprise", provisioner="ob-maker")
    before = await site.workspace()
    await site.set_up()
    after = await site.workspace()
    role = (set(after["users"]["ob-maker"]["roles"]) - {"bot"}).pop()
    gained = {name for name, roles in after["permissions"].items() if role in roles}

    assert gained == {
        "create-user", "assign-roles", "edit-other-user-info", "edit-other-user-avatar",
        "edit-other-user-active-status", "view-full-other-user-info", "view-privileged-setting",
    }  # fmt: skip
    assert after["users"]["ob-maker"]["roles"] == sorted(["bot", role])
    assert set(after["roles"]) - set(before["roles"]) == {"omnibridge-provisioner"}


async def test_provisioner_needs_a_licence_with_roles_of_ones_own(make_site: MakeSite) -> None:
    site = await make_site(licence="community", provisioner="ob-maker")
    before = await site.workspace()
    report = await site.set_up()

    assert report.exit_code == 1 and states(report) == {"not done"}
    assert len(problems(report)) == 1 and "custom-roles" in problems(report)[0]
    assert await site.workspace() == before


ADMIN_NEEDS = [
    *READS,
    "create-user",
    "access-permissions",
    "edit-privileged-setting",
    "manage-livechat-agents",
    "view-livechat-webhooks",
]
ACCOUNTS_NEED = [
    "view-l-room",
    "view-livechat-departments",
    "transfer-livechat-guest",
    "close-livechat-room",
    "close-others-livechat-room",
    "api-bypass-rate-limit",
    "message-impersonate",
    "create-personal-access-tokens",
]


@pytest.mark.parametrize("hub_version", ["6.14", "7.7", "8.3"])
async def test_s2_32_each_permission_that_is_missing_is_named(make_site: MakeSite, hub_version: str) -> None:
    """Of setup with everything that can be asked of it; each taken away in turn, and nothing is begun."""
    site = await make_site(hub_version=hub_version, licence="enterprise", provisioner="ob-maker", external=True)
    before = await site.workspace()
    for each in [*ADMIN_NEEDS, *ACCOUNTS_NEED]:
        await site.without(each)
        report = await site.set_up()
        assert (report.exit_code, states(report) - {"not done"}) == (1, set()), each
        assert any(each in text for text in problems(report)), each
        await site.hub.control(permissions={each: before["permissions"][each]})
    assert await site.workspace() == before
    assert problems(await site.set_up(dry_run=True)) == []


RESETS = {"edit-other-user-info", "edit-other-user-password"}
"""Of the admin when an account that is there gets a new token."""


async def test_list_of_permissions_is_whole(make_site: MakeSite) -> None:
    """What every step says that it needs is in the list above, so none is left out of that test."""
    site = await make_site(licence="enterprise", provisioner="ob-maker", external=True)
    report = await site.set_up(new_tokens=True)
    needed = {name for step, _ in report.steps for name in step.needs}
    again = await site.set_up(new_tokens=True)
    needed |= {name for step, _ in again.steps for name in step.needs}
    listed = {name for names in (*OF_ROLES.values(), *OF_TOKENS.values()) for name in names}

    assert needed - RESETS <= set(ADMIN_NEEDS) and listed <= {*ADMIN_NEEDS, *ACCOUNTS_NEED}
    for each in RESETS:
        await site.without(each)
        assert any(each in text for text in problems(await site.set_up(new_tokens=True))), each


async def test_undo_names_what_it_may_not(make_site: MakeSite) -> None:
    """Each in turn, before anything is taken back."""
    site = await make_site(licence="enterprise", provisioner="ob-maker", external=True)
    await site.set_up()
    after = await site.workspace()
    for each in [*READS, "delete-user", "edit-privileged-setting", "access-permissions"]:
        await site.without(each)
        report = await site.undo()
        assert (report.exit_code, states(report)) == (1, {"not done"}), each
        assert any(each in text for text in problems(report)), each
        await site.hub.control(permissions={each: after["permissions"][each]})
    assert await site.workspace() == after


async def test_fields_of_others_stay(make_site: MakeSite) -> None:
    site = await make_site()
    text = '{"phone": {"type": "text", "public": true}}'
    await site.hub.control(settings={"Accounts_CustomFields": text})
    await site.set_up()
    both = json.loads((await site.workspace())["settings"]["Accounts_CustomFields"])
    assert set(both) == {"phone", FIELD} and both["phone"] == {"type": "text", "public": True}

    await site.hub.control(settings={"Accounts_CustomFields": json.dumps({**both, "desk": {"type": "text"}})})
    await site.undo()
    left = json.loads((await site.workspace())["settings"]["Accounts_CustomFields"])
    assert set(left) == {"phone", "desk"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{not json", "not JSON"),
        ('{"externalAgentId": {"modifyRecordField": {"field": "bio"}}}', "something else"),
    ],
)
async def test_a_field_that_cannot_be_merged_is_refused(make_site: MakeSite, text: str, word: str) -> None:
    site = await make_site()
    await site.hub.control(settings={"Accounts_CustomFields": text})
    report = await site.set_up()

    assert report.exit_code == 1 and word in problems(report)[0]
    assert "ob-relay" not in await site.users()


async def test_a_user_of_that_name_is_nobody_to_take_over(make_site: MakeSite) -> None:
    site = await make_site()
    site.sandbox.hub.add_user("ob-bot", "x", {"user", "admin"}, "Somebody")
    before = await site.workspace()
    report = await site.set_up()

    assert report.exit_code == 1 and "setup did not make" in problems(report)[0]
    assert await site.workspace() == before


async def test_undo_leaves_what_others_changed(make_site: MakeSite) -> None:
    site = await make_site()
    before = await site.workspace()
    await site.set_up()
    await site.hub.control(webhook_url="http://127.0.0.1:9/another")
    report = await site.undo()
    after = await site.workspace()

    assert [each.check for each in report.findings if each.status == "warning"] == ["undo webhook"]
    assert after["settings"]["Livechat_webhookUrl"] == "http://127.0.0.1:9/another"
    before["settings"]["Livechat_webhookUrl"] = "http://127.0.0.1:9/another"
    assert after == before


async def test_s2_32_whoever_is_no_admin_is_told_so(make_site: MakeSite) -> None:
    site = await make_site()
    site.token = "wrong"
    report = await site.set_up()

    assert report.steps == [] and "401" in problems(report)[0]


@pytest.mark.parametrize(
    ("options", "change", "words"),
    [
        ({"hub_version": "5.4"}, {}, "too old"),
        ({}, {"settings": {"Livechat_enabled": False}}, "Omnichannel is switched off"),
        ({}, {"routing_method": "Load_Rotation"}, "livechat-enterprise"),
    ],
)
async def test_a_workspace_that_cannot_work_is_left_alone(
    make_site: MakeSite, options: dict[str, str], change: dict[str, object], words: str
) -> None:
    site = await make_site(**options)
    await site.hub.control(**change)
    before = await site.workspace()
    report = await site.set_up()

    assert report.exit_code == 1 and words in " ".join(problems(report))
    assert await site.workspace() == before


async def test_what_visitors_would_not_see_is_told(make_site: MakeSite) -> None:
    site = await make_site()
    await site.hub.control(
        settings={"Accounts_AvatarBlockUnauthenticatedAccess": True, "Livechat_show_agent_info": False}
    )
    report = await site.set_up()
    found = next(each for each in report.findings if each.check == "avatars")

    assert found.status == "warning" and report.exit_code == 0
    assert "refused pictures" in found.found and "who serves" in found.found


async def test_resting_proxies_that_would_get_visitors_are_refused(make_site: MakeSite) -> None:
    site = await make_site()
    site.sandbox.hub.add_user("agent.5f3a", "x", {"bot", "livechat-agent"}, "Proxy")

    async def judged(**change: object) -> Report:
        await site.hub.control(**change)
        return await site.set_up(dry_run=True)

    assert "agent.5f3a" in problems(await judged(bot_first=True))[0]
    assert "Auto_Selection" in problems(await judged(bot_first=False))[0]
    assert problems(await judged(routing_method="Manual_Selection")) == []
    assert "bot first" in problems(await judged(bot_first=True))[0]
    assert problems(await judged(users={"agent.5f3a": {"roles": ["bot"]}})) == []


async def test_proxies_that_serve_would_get_visitors_too(make_site: MakeSite) -> None:
    site = await make_site()
    site.config.write_text("[agents]\npool_size = 3\n")
    warned = {each.check for each in (await site.set_up(dry_run=True)).findings if each.status == "warning"}
    await site.hub.control(bot_first=False, routing_method="Manual_Selection")
    calm = {each.check for each in (await site.set_up(dry_run=True)).findings if each.status == "warning"}

    assert warned - calm == {"serving proxies"}


async def test_tokens_are_shown_once_and_made_anew_on_demand(make_site: MakeSite) -> None:
    site = await make_site()
    work = site.work(write=False)
    from omnibridge.setup.run import set_up

    await set_up(work, dry_run=False, new_tokens=False)
    first = {name: each.auth_token for name, each in work.tokens.items()}
    assert set(first) == {"ob-relay", "ob-bot"}
    record = site.folder / "setup-main.json"
    assert not any(each in record.read_text() for each in first.values())
    work.delivered()
    await work.admin.aclose()

    again = await site.set_up(write=False)
    assert again.steps == []
    renewed = await site.set_up(write=False, new_tokens=True)
    assert [each.name for each, _ in renewed.steps if each.name.startswith("token")] == [
        "token of ob-relay",
        "token of ob-bot",
    ]
    assert renewed.exit_code == 0
    assert not any(each in site.sandbox.hub.by_token for each in first.values())
    assert (await site.users())["ob-relay"]["roles"] == ["bot", "livechat-manager"]
