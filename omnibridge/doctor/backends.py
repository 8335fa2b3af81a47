"""Each connection's backend: asked by its own connector, and which side is wrong when it does not answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.clock import Clock
from omnibridge.config_connections import ConnectionSettings
from omnibridge.connector import ChecksHealth, Connector, ConnectorContext
from omnibridge.doctor.finding import BACKEND, NETWORK, OURS, Finding, ok, problem, warning
from omnibridge.doctor.network import explain
from omnibridge.engine import plugins
from omnibridge.errors import ConfigError, DeliveryError
from omnibridge.http import create_client

CHECK_S = 6.0
SLOW_S = 2.0

CREDENTIALS = ("unauthorized", "forbidden", "401", "403", "token", "credentials")
NOT_THERE = ("not-found", "404", "405", "redirect")
"""Parts of a DeliveryError's code that tell who is wrong."""


async def backend(each: ConnectionSettings, clock: Clock) -> list[Finding]:
    """Raises nothing: what a connector does wrong is a finding as well."""
    where = f"[[connection]] {each.name}"
    try:
        connector, options = plugins.create(each.kind, each.options, where)
        await connector.initialize(_context(each, options, clock))
    except ConfigError as exc:
        return [problem("backend", OURS, str(exc), f"correct {where}")]
    try:
        return [await _check(each, connector, str(each.options.get("url", ""))), facts(each)]
    finally:
        await connector.aclose()


async def _check(each: ConnectionSettings, connector: Connector, url: str) -> Finding:
    if isinstance(connector, BotApiConnector):
        return ok("backend", "its bot calls us; `omnibridge bots list` shows whether it takes its updates")
    if not isinstance(connector, ChecksHealth):
        do = "talk to the bot once by hand: its connector cannot ask whether it is well"
        return warning("backend", BACKEND, f"not tried: {each.kind} cannot be asked", do)
    began = time.monotonic()
    try:
        async with asyncio.timeout(CHECK_S):
            told = await connector.check()
    except TimeoutError:
        found = f"no answer within {CHECK_S:g} s"
        return problem("backend", BACKEND, found, "look at its load; a visitor would wait as long")
    except DeliveryError as exc:
        return _failed(each, exc, url)
    except Exception as exc:  # a defect of a connector must not hide what the other checks found
        do = "report it to who made the connector"
        return problem("backend", BACKEND, f"the connector's check failed with {type(exc).__name__}", do)
    took_s = time.monotonic() - began
    if took_s > SLOW_S:
        do = "every answer of the bot waits as long: look at load and route"
        return warning("backend", BACKEND, f"{told}, after {took_s:.1f} s", do)
    return ok("backend", f"{told}, in {took_s * 1000:.0f} ms")


def _failed(each: ConnectionSettings, exc: DeliveryError, url: str) -> Finding:
    """The chain of causes for the transport, the code for the rest; the connector's own words go first."""
    setting = f"[[connection]] {each.name}: url"
    trouble = explain(exc, url, setting) if url else None
    if trouble:
        side = BACKEND if trouble.kind in ("refused", "slow", "cut") else trouble.side
        return problem("backend", side, f"{exc}: {trouble.found}", trouble.do)
    code = exc.code.casefold()
    if any(part in code for part in CREDENTIALS):
        return problem("backend", OURS, str(exc), f"correct the credentials of [[connection]] {each.name}")
    if any(part in code for part in NOT_THERE):
        found = f"{exc}"
        return problem("backend", OURS, found, f"correct {setting}, or switch on what it names at the backend")
    if code == "not-sent":
        return problem("backend", NETWORK, str(exc), f"start it, or correct {setting}")
    return problem("backend", BACKEND, str(exc), "look into the backend's own log")


def facts(each: ConnectionSettings) -> Finding:
    """What leaves the house with each message."""
    return ok("facts", f"is told {', '.join(each.facts)}" if each.facts else "is told nothing but the text")


def _context(each: ConnectionSettings, options: Any, clock: Clock) -> ConnectorContext:
    return ConnectorContext(
        name=each.name,
        settings=options,
        clock=clock,
        create_client=create_client,
        count=lambda name, n: None,
        log=lambda *args, **fields: None,
    )
