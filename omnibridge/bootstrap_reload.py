"""Settings of connectors, changed while the service runs: `omnibridge config reload`, or SIGHUP.

The whole configuration is read and checked first; one mistake, and nothing changes. Then each connector whose own
settings changed is initialized again, by itself: new calls wait, those under way end, and no turn is lost. What cannot
be changed that way is named, and keeps its old value until a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from omnibridge.bootstrap_analysis import AT_A_TIME, Analysis
from omnibridge.bootstrap_codes import unknown_codes
from omnibridge.bootstrap_decisions import not_desks, read_rules, unknown_targets
from omnibridge.botapi.connector import BotApiConnector
from omnibridge.config import SECTIONS, Settings
from omnibridge.config_options import OPEN, check_options
from omnibridge.config_reader import load
from omnibridge.connector import ConnectorContext, HearsSettings, ReceivesCallbacks
from omnibridge.engine import plugins
from omnibridge.engine.party_sender import Party
from omnibridge.errors import ConfigError, RuleInvalid

_log = structlog.get_logger("omnibridge.service")
APPLIED = ("secret", "timeout_s", "keep_h", "later_h")
"""Keys of [[analyser]] that are taken over with its connector's."""

SPARE_S = 5.0
"""Beyond the turn's deadline: so long is waited until a connector has nothing to do."""

Contexts = dict[str, tuple[Any, ConnectorContext]]
"""Connection -> its connector, and what it was initialized with."""


TAKEN_OVER = tuple(section for section in OPEN if section not in ("crm", "router"))
"""Tables of connectors that hear of other settings; systems of records and of routing are read at start."""


class Reloaded(msgspec.Struct):
    """changed: tables that were initialized again. restart: keys whose new value is not in force. problems: why
    nothing, or not everything, was done."""

    changed: list[str] = []
    restart: list[str] = []
    problems: list[str] = []


class Reloader:
    """parties: those that are given turns, None before it is relayed. callback_token: told of a connection's new
    one."""

    def __init__(
        self,
        settings: Settings,
        contexts: Contexts,
        analysis: Analysis,
        parties: Callable[[], Mapping[str, Party] | None],
        callback_token: Callable[[str, str], None],
    ) -> None:
        self._settings, self._contexts, self._analysis = settings, contexts, analysis
        self._parties, self._callback_token = parties, callback_token
        self._lock = asyncio.Lock()

    async def answer(self, environ: Mapping[str, str]) -> Reloaded:
        """Read, check, and take over what can be taken over. Logged too: who sent a signal sees nothing else."""
        async with self._lock:
            done = await self._reloaded(environ)
        log = _log.warning if done.problems else _log.info
        log("settings_read", changed=done.changed, restart=done.restart, problems=done.problems)
        return done

    async def _reloaded(self, environ: Mapping[str, str]) -> Reloaded:
        try:
            new = _checked(Path(self._settings.sources.file), environ)
        except (ConfigError, RuleInvalid) as exc:
            return Reloaded(problems=exc.problems)
        if self._parties() is None:
            return Reloaded(problems=["nothing is relayed yet: try again when /readyz says ok"])
        done = Reloaded(restart=_fixed(self._settings, new))
        for section in TAKEN_OVER:
            await self._take_over(section, new, done)
        return done

    async def _take_over(self, section: str, new: Settings, done: Reloaded) -> None:
        """Of all tables of a kind; what was taken over is what the next reload compares with."""
        wanted = {each.name: each for each in getattr(new, section)}
        kept = []
        for old in getattr(self._settings, section):
            each = wanted.get(old.name)
            keys = _changed(old, each) if each is not None and each.kind == old.kind else []
            if each is None or not keys:
                kept.append(old)
                continue
            where = f"[[{section}]] {old.name}"
            try:
                if section == "connection":
                    await self._connection(old.name, each.options)
                else:
                    await self._analyser(old.name, each)
            except _NotDone as exc:
                done.problems.append(f"{where}: {exc}")
                kept.append(old)
                continue
            _log.info("settings_changed", table=section, name=old.name, keys=keys)  # never values: some are secret
            done.changed.append(f"{where}: {', '.join(keys)}")
            applied = {key: getattr(each, key) for key in APPLIED} if section == "analyser" else {}
            kept.append(
                type(old).model_validate({**old.model_dump(exclude=set(old.options)), **applied, **each.options})
            )
        self._settings = self._settings.model_copy(update={section: tuple(kept)})

    async def _connection(self, name: str, raw: dict[str, Any]) -> None:
        connector, context = self._contexts[name]
        if isinstance(connector, BotApiConnector):
            raise _NotDone("bots of the bot API are read at start: restart")
        parties = self._parties()
        assert parties is not None
        analyser = self._analysis.analysers.get(name)
        async with self._idle(parties[name].slots, self._settings.engine.max_in_flight):
            if analyser is None:
                self._contexts[name] = connector, await _initialized(connector, context, raw)
            else:
                async with self._idle(analyser.slots, AT_A_TIME):
                    self._contexts[name] = connector, await _initialized(connector, context, raw)
        if isinstance(connector, ReceivesCallbacks):
            self._callback_token(name, connector.callback_token())

    async def _analyser(self, name: str, each: Any) -> None:
        analyser = self._analysis.analysers.get(name)
        assert analyser is not None
        connector, context = self._analysis.contexts[name]
        async with self._idle(analyser.slots, AT_A_TIME):
            self._analysis.contexts[name] = connector, await _initialized(connector, context, each.options)
            self._analysis.apply(analyser, each)
            analyser.connector, analyser.why = connector, ""

    @asynccontextmanager
    async def _idle(self, slots: asyncio.Semaphore, n: int) -> AsyncIterator[None]:
        """Nothing is under way inside, and what comes waits."""
        taken = 0
        try:
            try:
                async with asyncio.timeout(self._settings.engine.bot_turn_deadline_s + SPARE_S):
                    while taken < n:
                        await slots.acquire()
                        taken += 1
            except TimeoutError:
                raise _NotDone("it was never idle; try again") from None
            yield
        finally:
            for _ in range(taken):
                slots.release()


class _NotDone(Exception):
    """Why a table was left as it is."""


async def _initialized(connector: Any, context: ConnectorContext, raw: dict[str, Any]) -> ConnectorContext:
    """With its new settings; with the old ones again when it refuses them."""
    new = replace(context, settings=msgspec.convert(raw, connector.settings_type))
    if isinstance(connector, HearsSettings):
        try:
            await connector.settings_changed(context.settings, new.settings)
        except Exception as exc:
            _log.warning("settings_changed_failed", name=context.name, reason=type(exc).__name__)
    try:
        await connector.initialize(new)
        return new
    except Exception as exc:
        reason = str(exc) if isinstance(exc, ConfigError) else type(exc).__name__
        try:
            await connector.initialize(context)
        except Exception:
            _log.error("settings_not_restored", name=context.name)
        raise _NotDone(f"refused its new settings, the old ones stay: {reason}") from exc


def _checked(path: Path, environ: Mapping[str, str]) -> Settings:
    """Raises ConfigError or RuleInvalid with every problem, each with file and line."""
    new = load(path, environ)
    kinds = plugins.installed_kinds()
    used = {each.kind for section in TAKEN_OVER for each in getattr(new, section)}
    types = {kind: plugins.load_connector(kind).settings_type for kind in used} | plugins.apart_types()
    problems = check_options(new, types, kinds)
    names = {each.name for each in new.connection}, new.decider_names
    problems += unknown_targets(read_rules(new), *names)
    if not problems:
        problems = not_desks(new.connection) + unknown_codes(new)
    if problems:
        raise ConfigError(problems)
    return new


def _changed(old: Any, new: Any) -> list[str]:
    """Names of keys that a connector, or its table, can take over."""
    options = {key for key in {*old.options, *new.options} if old.options.get(key) != new.options.get(key)}
    ours = {key for key in APPLIED if key in type(old).model_fields and getattr(old, key) != getattr(new, key)}
    return sorted(options | ours)


def _fixed(old: Settings, new: Settings) -> list[str]:
    """What is different and takes a restart, by key."""
    found = []
    for section, (_, header) in SECTIONS.items():
        before, after = getattr(old, section), getattr(new, section)
        if not isinstance(before, tuple):
            found += [
                f"{header} {key}" for key in type(before).model_fields if getattr(before, key) != getattr(after, key)
            ]
            continue
        known, wanted = ({each.name: each for each in tables} for tables in (before, after))
        found += [f"{header} {name}" for name in (*known, *wanted) if (name in known) != (name in wanted)]
        for name in known.keys() & wanted.keys():
            keys = [key for key in type(known[name]).model_fields if not (section == "analyser" and key in APPLIED)]
            found += [
                f"{header} {name} {key}" for key in keys if getattr(known[name], key) != getattr(wanted[name], key)
            ]
            if section in ("crm", "router"):
                old_ones, new_ones = known[name].options, wanted[name].options
                keys = [key for key in {*old_ones, *new_ones} if old_ones.get(key) != new_ones.get(key)]
                found += [f"{header} {name} {key}" for key in keys]
    return sorted(found)
