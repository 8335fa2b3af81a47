"""What doctor says of systems of records, routers, and of agents for whom users shall be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibridge.clock import SystemClock
from omnibridge.config import Settings
from omnibridge.config_reader import load
from omnibridge.doctor.systems import systems
from omnibridge.storage import directory
from omnibridge.storage.database import connect, migrate
from tests.ports import free_port
from tests.unit.test_pages import BASE, TOKEN_KEY

MAPPING = 'key_field = "K__c"\n[[write]]\nobject = "Case"\nrecord = "case"\n[write.fields]\nOrigin = "Chat"\n'
PROVISIONER = '\nprovisioner_user_id = "p"\nprovisioner_token = "t"\n'


def settings(tmp_path: Path, more: str, base: str = BASE) -> Settings:
    (tmp_path / "crm.toml").write_text(MAPPING, "utf-8")
    path = tmp_path / "omnibridge.toml"
    path.write_text(f"{base}\n{more}", "utf-8")
    return load(path, {})


async def test_org_that_does_not_answer_is_a_problem_with_its_name(tmp_path: Path) -> None:
    account = 'client_id = "c"\nclient_secret = "s"\n'
    org = f'url = "http://127.0.0.1:{free_port()}"\n{account}'
    more = (
        f'[[crm]]\nname = "shop"\nkind = "salesforce_crm"\nmapping_file = "crm.toml"\n{org}'
        f'[[router]]\nname = "omni"\nkind = "salesforce_omni"\nsystem = "salesforce"\nqueue = "00G5g000001XyZa"\n{org}'
    )

    found = await systems(settings(tmp_path, more), tmp_path / "no.db", SystemClock())

    assert [(each.check, each.status) for each in found] == [("crm", "problem"), ("router", "problem")]
    assert found[0].found.startswith("shop: ") and "omnibridge crm test" in found[0].do
    assert found[1].found.startswith("omni: ") and "omnibridge routing test" in found[1].do


@pytest.mark.parametrize(
    ("has_provisioner", "is_synced", "status", "words"),
    [
        (False, True, "warning", "omnibridge setup --provisioner"),
        (True, False, "warning", "omnibridge agents sync"),
        (True, True, "ok", ""),
    ],
)
async def test_agents_for_whom_no_user_can_be_made(
    tmp_path: Path, has_provisioner: bool, is_synced: bool, status: str, words: str
) -> None:
    token = 'webhook_token = "long enough"\n'
    base = BASE.replace(token, token + PROVISIONER) if has_provisioner else BASE
    path = tmp_path / "o.db"
    migrate(path)
    if is_synced:
        with connect(path) as connection:
            directory.set_synced(connection, "main", 7)

    more = f'[agents]\ncreation = true\ntoken_keys = "{TOKEN_KEY}"\n'
    (found,) = await systems(settings(tmp_path, more, base), path, SystemClock())

    assert (found.check, found.status, found.workspace) == ("agents", status, "main")
    assert words in found.do
