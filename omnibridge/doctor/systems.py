"""What stands beside the connections: systems of records, routers, and the agents for whom users may be made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omnibridge.bootstrap_records import look_at
from omnibridge.bootstrap_routing import look_at_routers
from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.doctor.finding import BACKEND, OURS, Finding, ok, problem, warning
from omnibridge.doctor.journal import Journal
from omnibridge.errors import ConfigError

CHECK_S = 5.0
"""For all of one table."""


async def systems(settings: Settings, path: Path, clock: Clock) -> list[Finding]:
    """path: of the database. Raises nothing that a check could find."""
    tables = [("crm", settings.crm, look_at), ("router", settings.router, look_at_routers)]
    findings = []
    for table, named, ask in tables:
        if not named:
            continue
        try:
            async with asyncio.timeout(CHECK_S):
                answers = await ask(settings, clock)
        except TimeoutError:
            do = "look at its load and the way there; what is to be written there waits meanwhile"
            findings.append(problem(table, BACKEND, f"no answer within {CHECK_S:g} s", do))
        except ConfigError as exc:
            findings.append(problem(table, OURS, str(exc), f"correct [[{table}]]"))
        else:
            findings += [_told(table, each[table], each["ok"], each["text"]) for each in answers]
    return findings + _agents(settings, Journal(path))


def _told(table: str, name: str, is_well: bool, text: str) -> Finding:
    found = f"{name}: {text}"
    if is_well:
        return ok(table, found)
    command = {"crm": "omnibridge crm test", "router": "omnibridge routing test"}[table]
    return problem(table, BACKEND, found, f"correct [[{table}]] {name}, or what it names there; then `{command}`")


def _agents(settings: Settings, journal: Journal) -> list[Finding]:
    """Only where users shall be made: what would keep the first of them from it."""
    if not settings.agents.creation:
        return []
    findings = []
    for each in settings.workspace:
        if not each.provisioner_user_id or not each.provisioner_token:
            found = f"[agents] creation = true, but [[workspace]] {each.name} has no provisioner: no user can be made"
            do = "`omnibridge setup --provisioner` makes one; or creation = false, and `omnibridge agents link`"
            findings.append(warning("agents", OURS, found, do).about(each.name))
        elif not journal.synced_at(each.name):
            found = "users were never read, so none is made: the relay account speaks for each agent"
            do = "run `omnibridge agents sync` once"
            findings.append(warning("agents", OURS, found, do).about(each.name))
        else:
            findings.append(ok("agents", "users were read; missing ones are made").about(each.name))
    return findings
