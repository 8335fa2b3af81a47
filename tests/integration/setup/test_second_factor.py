"""What an admin is asked for, and how he answers: app, mail, password; log-in by password."""

from __future__ import annotations

import time

import pytest

from omnibridge.sandbox.two_factor import totp_code
from omnibridge.setup.admin import Admin, SecondFactor, SetupFailed
from tests.integration.setup.conftest import MakeSite, Site, problems

SEED = "JBSWY3DPEHPK3PXP"


@pytest.fixture
async def site(make_site: MakeSite) -> Site:
    """The admin's token is that of a log-in: changes of settings ask for a second factor."""
    made = await make_site()
    made.token = str(made.sandbox.description["admin"]["auth_token"])
    return made


def code_now() -> str:
    return totp_code(SEED, int(time.time() * 1000))


async def test_password_is_asked_of_who_has_nothing_else(site: Site) -> None:
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return "secret"

    site.factor = SecondFactor(ask=ask)
    report = await site.set_up()

    assert (problems(report), len(asked)) == ([], 1)
    assert "Password" in asked[0]


async def test_password_that_is_known_is_not_asked_for(site: Site) -> None:
    site.factor = SecondFactor(password="secret")

    assert problems(await site.set_up()) == []


async def test_code_of_the_app_from_the_command_line(site: Site) -> None:
    await site.hub.control(two_factor={"admin": {"totp": SEED}})
    site.factor = SecondFactor(code=code_now())

    assert problems(await site.set_up()) == []


async def test_wrong_code_is_asked_for_again(site: Site) -> None:
    await site.hub.control(two_factor={"admin": {"totp": SEED}})
    asked: list[str] = []

    def ask(words: str) -> str:
        asked.append(words)
        return code_now()

    site.factor = SecondFactor(code="000000", ask=ask)
    report = await site.set_up()

    assert problems(report) == []
    assert len(asked) == 1 and "wrong" in asked[0]


async def test_mailed_code_is_given_to_the_second_run(site: Site) -> None:
    await site.hub.control(two_factor={"admin": {"email": True}})
    report = await site.set_up()
    assert "--2fa-code" in problems(report)[0] and "mail" in problems(report)[0]

    mail = (await site.hub.ledger())["mails"][-1]
    site.factor = SecondFactor(code=mail["code"])
    assert problems(await site.set_up()) == []


async def test_nobody_to_ask_is_told_how_to_answer(site: Site) -> None:
    before = await site.workspace()
    report = await site.set_up()

    assert report.exit_code == 1 and "Ignore Two Factor Authentication" in problems(report)[0]
    assert await site.workspace() == before


async def test_accounts_that_could_not_log_in_are_not_begun(make_site: MakeSite) -> None:
    """A log-in wants a verified address, and whoever has one is mailed a code: ours have no mailbox."""
    site = await make_site()
    mails = "Accounts_TwoFactorAuthentication_By_Email_Auto_Opt_In"
    await site.hub.control(settings={"Accounts_EmailVerification": True})
    report = await site.set_up()
    assert report.exit_code == 1 and "Auto opt in" in problems(report)[0]

    await site.hub.control(settings={mails: False})
    assert problems(await site.set_up()) == []


async def test_log_in_with_password_and_code_ends_with_a_log_out(site: Site) -> None:
    await site.hub.control(two_factor={"admin": {"totp": SEED}})
    url = site.sandbox.url
    with pytest.raises(SetupFailed, match="second factor"):
        await Admin.log_in(url, "admin", "secret", SecondFactor())
    with pytest.raises(SetupFailed, match="refused"):
        await Admin.log_in(url, "admin", "wrong", SecondFactor(code=code_now()))
    admin = await Admin.log_in(url, "admin", "secret", SecondFactor(code=code_now()))
    token = admin.credentials.auth_token
    assert token in site.sandbox.hub.by_token and "secret" not in repr(admin.credentials)
    await admin.aclose()

    assert token not in site.sandbox.hub.by_token
