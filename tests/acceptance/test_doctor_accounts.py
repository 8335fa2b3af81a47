"""`omnibridge doctor` on tokens, limits, licences, and users that are shared."""

from __future__ import annotations

from omnibridge.config_reader import load
from omnibridge.doctor.finding import ACCOUNT, HUB, OURS
from omnibridge.doctor.run import examine
from tests.acceptance.patient import ALWAYS, MakePatient, spoken


async def test_tokens_that_were_swapped_are_named(make_patient: MakePatient) -> None:
    patient = await make_patient()
    told = patient.world.sandbox.description
    relay, bot = told["service_account"]["auth_token"], told["bot_account"]["auth_token"]
    swapped = {f'"{relay}"': '"RELAY"', f'"{bot}"': f'"{relay}"', '"RELAY"': f'"{bot}"'}
    findings = await patient.examine({**swapped, "rocketchat_token": 'rocketchat_user_id = "botId"\nrocketchat_token'})
    found = {each.check: each for each in findings if each.status == "problem"}

    assert set(found) == {"relay token", "bot token"}
    assert "the user of connection helper" in found["relay token"].found
    assert "the relay account" in found["bot token"].found
    assert relay not in str(findings) and bot not in str(findings)


async def test_wrong_token_says_how_to_make_one(make_patient: MakePatient) -> None:
    patient = await make_patient()
    token = patient.world.sandbox.description["service_account"]["auth_token"]
    findings = await patient.examine({token: "a-wrong-token"})
    found = [each for each in findings if each.status == "problem"]

    assert [(each.check, each.side) for each in found] == [("relay token", ACCOUNT)]
    assert "401" in found[0].found and "Ignore Two Factor Authentication" in found[0].do


async def test_token_that_asks_for_a_second_factor(make_patient: MakePatient) -> None:
    patient = await make_patient()
    body = {"success": False, "error": "TOTP Required [totp-required]", "errorType": "totp-required"}
    await patient.world.hub.control(fail_next=[{"path": "me", "status": 400, "count": 2, "body": body}])
    found = [each for each in await patient.examine() if each.check in ("relay token", "bot token")]

    assert {(each.status, each.side) for each in found} == {("problem", ACCOUNT)}
    assert all("second factor" in each.found for each in found)


async def test_limited_account(make_patient: MakePatient) -> None:
    """The role bot lifts the limit by default; here its permission was taken away."""
    patient = await make_patient(rate_limit=True)
    assert spoken(await patient.examine()) == ALWAYS
    await patient.world.hub.control(permissions={"api-bypass-rate-limit": ["admin"]})
    findings = await patient.examine()
    relay = next(each for each in findings if each.check == "relay rate limit")

    assert spoken(findings) == ALWAYS | {("relay rate limit", "problem"), ("bot rate limit", "problem")}
    assert (relay.side, "api-bypass-rate-limit" in relay.do) == (HUB, True)


async def test_more_departments_than_the_licence_has(make_patient: MakePatient) -> None:
    patient = await make_patient(licence="enterprise")
    hub = patient.world.sandbox.hub
    for name in ("Sales", "Support"):
        hub.add_department(name, set())
    assert spoken(await patient.examine()) == ALWAYS
    hub.licence = "community"

    assert spoken(await patient.examine()) == ALWAYS | {("licence", "warning")}


async def test_two_connections_with_one_user(make_patient: MakePatient) -> None:
    patient = await make_patient()
    path = patient.write({})
    text = path.read_text("utf-8")
    path.write_text(text + text[text.index("[[connection]]") :].replace('"helper"', '"second"'), "utf-8")
    found = [each for each in await examine(load(path, {})) if each.status == "problem"]

    assert [(each.check, each.connection, each.side) for each in found] == [
        ("bot user of its own", "helper", OURS),
        ("bot user of its own", "second", OURS),
    ]
