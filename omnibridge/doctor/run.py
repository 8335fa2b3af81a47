"""All checks of a configuration, side by side: workspaces, backends, this machine. Under 20 s whatever hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from omnibridge.bootstrap_codes import unknown_codes
from omnibridge.bootstrap_decisions import not_desks, read_rules, unknown_targets
from omnibridge.clock import Clock, SystemClock
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.config_reader import check, load
from omnibridge.doctor import (
    accounts,
    bots,
    companion_app,
    custom_field,
    deciders,
    departments,
    external,
    hub_settings,
    local,
    reach,
    realtime,
    rights,
    systems,
    webhook,
)
from omnibridge.doctor.backends import backend
from omnibridge.doctor.finding import BACKEND, NETWORK, OURS, Finding, ok, problem
from omnibridge.doctor.journal import Journal
from omnibridge.doctor.probe import Prober
from omnibridge.doctor.view import HubView, find_owner, look, relay_credentials
from omnibridge.engine.plugins import installed_kinds, settings_types
from omnibridge.errors import ConfigError, RuleInvalid
from omnibridge.routing.rules import RuleSet
from omnibridge.storage.database import database_path

WORKSPACE_S, BACKEND_S = 16.0, 8.0
"""For everything about one of them; each call has its own limit besides."""


def read(path: Path, environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """The settings, and what is wrong with them; None when nothing can be checked with them."""
    problems: list[str] = []
    try:
        problems = check(path, environ, settings_types(set(installed_kinds())))
        settings = None if problems else load(path, environ)
        if settings and (problems := not_desks(settings.connection) + unknown_codes(settings)):
            settings = None
    except ConfigError as exc:
        settings, problems = None, exc.problems
    if settings is None:
        do = f"correct {path}; `omnibridge config check` says the same"
        return None, [problem("configuration", OURS, each, do) for each in problems]
    return settings, [ok("configuration", f"{path}: nothing wrong")]


async def examine(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Every finding, of this machine first. Raises nothing that a check could find."""
    clock = clock or SystemClock()
    path = database_path(settings.database_url)
    rules, findings = _rules(settings)
    findings += [local.sqlite_version(), local.database(path), local.disk(path), local.files()]
    backends = [asyncio.create_task(_backend(settings, each, clock)) for each in settings.connection]
    beside = asyncio.create_task(_beside(backends, settings, path, clock))
    server = asyncio.create_task(local.our_server(settings, path))
    our = webhook.RoundTrip(server, Journal(path))
    seen = await asyncio.gather(*(_workspace(settings, each, our, clock) for each in settings.workspace))
    findings += (await server).findings
    views = [view for view, _ in seen if view]
    findings += [*departments.named(rules, views), *deciders.outvoted(settings, rules, views)]
    findings += [each for _, found in seen for each in found]
    findings += [each for found in await asyncio.gather(*backends) for each in found]
    findings += await beside
    return findings


async def _beside(
    backends: list[asyncio.Task[list[Finding]]], settings: Settings, path: Path, clock: Clock
) -> list[Finding]:
    """After the backends: importing a vendor's client holds up the loop, and their time is measured."""
    await asyncio.gather(*backends)
    return await systems.systems(settings, path, clock)


def exit_code(findings: list[Finding]) -> int:
    """0 nothing wrong, warnings allowed; 1 a check failed; 2 the configuration itself is wrong."""
    failed = {each.check for each in findings if each.status == "problem"}
    return 2 if failed & {"configuration", "rules"} else int(bool(failed))


def _rules(settings: Settings) -> tuple[RuleSet | None, list[Finding]]:
    try:
        rules = read_rules(settings)
        problems = unknown_targets(rules, {each.name for each in settings.connection}, settings.decider_names)
    except (ConfigError, RuleInvalid) as exc:
        rules, problems = None, exc.problems
    if problems or rules is None:
        return rules, [problem("rules", OURS, each, "correct the file that [rules] file names") for each in problems]
    where = f"{len(rules.rules)} rules" if settings.rules.file else "no file: the first connection of a workspace"
    return rules, [ok("rules", where)]


async def _workspace(
    settings: Settings, workspace: WorkspaceSettings, our: webhook.RoundTrip, clock: Clock
) -> tuple[HubView | None, list[Finding]]:
    connections = [each for each in settings.connection if settings.workspace_of(each).name == workspace.name]
    prober = Prober(workspace.url, relay_credentials(workspace), f"[[workspace]] {workspace.name}: url")
    try:
        async with asyncio.timeout(WORKSPACE_S):
            return await _checks(settings, workspace, connections, prober, our, clock)
    except TimeoutError:
        late = problem("reachable", NETWORK, f"not done within {WORKSPACE_S:g} s", "try again when it is less busy")
        return None, [late.about(workspace.name)]
    finally:
        await prober.aclose()


async def _checks(
    settings: Settings,
    workspace: WorkspaceSettings,
    connections: list[ConnectionSettings],
    prober: Prober,
    our: webhook.RoundTrip,
    clock: Clock,
) -> tuple[HubView, list[Finding]]:
    view = await look(workspace, connections, prober, clock)
    found: list[Finding | None] = [each(view) for each in reach.CHECKS]
    if view.version is not None:
        found.append(await _relay_token(view, prober))
        found += [each(view) for each in (*accounts.CHECKS, *hub_settings.CHECKS, *webhook.CHECKS)]
        found += [
            rights.check(view),
            custom_field.check(view, settings.agents),
            webhook.timeout(view, settings),
            bots.people(view),
            bots.strangers(view),
            *await external.checks(view),
            await realtime.check(view),
            await companion_app.check(view, clock),
        ]
    findings = [each.about(workspace.name) for each in found if each]
    if view.version is not None:
        trip = await webhook.round_trip(view, prober, our, findings)
        findings += [trip.about(workspace.name)] if trip else []
    findings += bots.shared(workspace, connections)
    for bot in view.bots:
        if bot.me and bot.me.status == 401:
            token = bot.settings.rocketchat_token.get_secret_value()
            bot.swapped_with = await find_owner(prober, view, token, bot.id)
        of_bot = (each(view, bot) for each in bots.CHECKS)
        findings += [each.about(workspace.name, bot.name) for each in of_bot if each]
    return view, findings


async def _relay_token(view: HubView, prober: Prober) -> Finding | None:
    """Two tokens that were mixed up are the commonest mistake: say so."""
    me, workspace = view.probes["me"], view.settings
    if me.status != 401:
        return accounts.token(view)
    owner = await find_owner(prober, view, workspace.auth_token.get_secret_value(), workspace.user_id)
    return accounts.refused(me, "relay token", f"[[workspace]] {workspace.name}: user_id and auth_token", owner)


async def _backend(settings: Settings, each: ConnectionSettings, clock: Clock) -> list[Finding]:
    try:
        async with asyncio.timeout(BACKEND_S):
            found = await backend(each, clock)
    except TimeoutError:
        found = [problem("backend", BACKEND, f"not done within {BACKEND_S:g} s", "look at its load and its log")]
    return [finding.about(settings.workspace_of(each).name, each.name) for finding in found]
