"""Settings in, what decisions are made with out: rules, directory, policy, and the systems that decide with us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

import msgspec

from omnibridge.assignment.deciders import DeciderLink
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.config_visitors import TextsSettings
from omnibridge.connector.desks import HoldsSessions
from omnibridge.connector.signing import read_secrets
from omnibridge.domain.directory import BotConnection, Decider, Directory, HoldingBot
from omnibridge.domain.events import UserRef
from omnibridge.engine import plugins
from omnibridge.engine.breaker import Breaker
from omnibridge.engine.recording import Keeper
from omnibridge.engine.retry import DEADLINES_MS
from omnibridge.engine.work import Policy
from omnibridge.engine.workspaces import Wanted
from omnibridge.errors import ConfigError
from omnibridge.http import create_client
from omnibridge.rocketchat.capabilities import Sides
from omnibridge.routing.facts import DEPARTMENT_NAME
from omnibridge.routing.rules import RuleSet
from omnibridge.routing.rules_file import parse_rules
from omnibridge.routing.texts import Texts, language_tag
from omnibridge.storage import seats

ASK_MS = 10_000
"""For a question to a router to be written down."""

ANSWER_BYTES = 64 * 1024
"""Of a decider's answer."""


def read_rules(settings: Settings) -> RuleSet:
    """The rules file with the texts of the configuration. Raises RuleInvalid or ConfigError."""
    texts = texts_of(settings.texts)
    if settings.rules.file is None:
        return RuleSet(texts=texts)
    path = settings.resolve(settings.rules.file)
    try:
        text = path.read_text("utf-8")
    except OSError as exc:
        raise ConfigError(f"[rules] file: {path}: {exc.strerror}") from exc
    return parse_rules(text, str(path), texts)


def texts_of(settings: TextsSettings) -> Texts:
    """Each language whole: what it leaves out is as in the others."""
    own = settings.model_dump(exclude={"languages"})
    languages = {}
    for name, sentences in settings.languages.items():
        given = sentences.model_dump(exclude_unset=True)
        desk = _by_code({**settings.desk, **given.get("desk", {})})
        languages[language_tag(name)] = {**own, **given, "desk": desk, "language_facts": ()}
    return msgspec.convert({**own, "desk": _by_code(settings.desk), "languages": languages}, Texts)


def _by_code(sentences: dict[str, str]) -> dict[str, str]:
    """`CONNECTION:CODE`; codes come from other systems, in whatever case."""
    parts = (key.rpartition(":") for key in sentences)
    return {f"{desk}{colon}{code.casefold()}": sentences[f"{desk}{colon}{code}"] for desk, colon, code in parts}


def unknown_targets(rules: RuleSet, connections: set[str], deciders: Set[str] = frozenset()) -> list[str]:
    """Rules that name a connection or decider which is not configured, in words."""
    targets = [("default", rules.default), *((rule.name, rule.target) for rule in rules.rules)]
    known = {"bot": ("connection", connections), "decider": ("decider", deciders)}
    problems = [
        f"rules: {name}: there is no [[{known[target.kind][0]}]] {target.name!r}"
        for name, target in targets
        if target and target.kind in known and target.name not in known[target.kind][1]
    ]
    if rules.handover.decider and rules.handover.decider not in deciders:
        problems.append(f"rules: [handover] decider: there is no [[decider]] {rules.handover.decider!r}")
    return problems


def wanted_of(settings: Settings, workspace: WorkspaceSettings, rules: RuleSet) -> Wanted:
    """What has to be known of a workspace. Names of departments: where somebody may have written one, or wants to be
    told it. Whether it chooses agents: where an external system is asked about new visitors."""
    told = [
        *(each.facts for each in settings.connection),
        *(each.facts for each in settings.decider),
        *(each.facts for each in settings.router),
        *(each.facts for each in settings.crm),
    ]
    is_named = rules.names_departments or bool(workspace.holding_bots)
    return Wanted(is_named or any(DEPARTMENT_NAME in each for each in told), bool(rules.asked_at_start))


def not_desks(connections: Sequence[ConnectionSettings]) -> list[str]:
    """What is wrong with `hands_to` that names a connection of no people: nothing would ever be offered to it. Raises
    ConfigError for a kind that is not there."""
    kinds = {each.name: each.kind for each in connections}
    problems = []
    for each in connections:
        kind = kinds.get(each.hands_to, "")
        if kind and not issubclass(plugins.load_connector(kind), HoldsSessions):
            problems.append(
                f"[[connection]] {each.name} hands_to: {each.hands_to!r} is no desk, but of kind {kind!r}; "
                "to a bot conversations are given by rules"
            )
    return problems


def policy_of(
    settings: Settings,
    rules: RuleSet,
    directory: Directory,
    reader: Any,
    analysers: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Policy:
    """What the processor decides with."""
    bot_users: dict[str, dict[str, str]] = {}
    for each in directory.connections:
        users = bot_users.setdefault(each.workspace, {})
        users[each.user_id] = users[each.username] = each.name
    engine = settings.engine
    deadlines = {
        **DEADLINES_MS,
        "SendToParty": int(engine.bot_turn_deadline_s * 1000),
        "SendToVisitor": int(engine.reply_deadline_s * 1000),
    }
    alone = only_by_decision(settings, reader)
    return Policy(
        rules, directory, bot_users, deadlines, systems_of(settings), alone, sides_of(settings), analysers,
        keepers_of(settings),
    )  # fmt: skip


def keepers_of(settings: Settings) -> dict[str, tuple[Keeper, ...]]:
    """By workspace: which systems of records are told of what happens there."""
    keepers = {
        each.name: Keeper(
            each.name, frozenset(each.on), int(each.live_every_s * 1000), int(each.keep_trying_h * 3_600_000)
        )
        for each in settings.crm
    }
    found = {
        place.name: tuple(keepers[each.name] for each in settings.crm if each.workspace in ("", place.name))
        for place in settings.workspace
    }
    return {place: each for place, each in found.items() if each}


def sides_of(settings: Settings) -> Sides:
    """What each connection may show where."""
    return Sides(
        {each.name: each.app_id for each in settings.workspace if each.blocks},
        {each.name: each.choices for each in settings.connection if each.choices != "auto"},
        frozenset(each.name for each in settings.connection if each.markup == "plain"),
    )


def directory_of(settings: Settings, bots: list[BotConnection], holders: list[HoldingBot]) -> Directory:
    """Who there is to decide for, and who decides."""
    deciders = [(each, each.timeout_ms) for each in settings.decider] + [(each, ASK_MS) for each in settings.router]
    known = tuple(
        Decider(
            each.name, within_ms, each.ticket_timeout_ms, each.move_timeout_ms, each.asks, each.on_timeout,
            each.over_auto_selection,
        )
        for each, within_ms in deciders
    )  # fmt: skip
    return Directory(tuple(bots), known, tuple(holders), int(settings.assignment.look_again_s * 1000))


def systems_of(settings: Settings) -> dict[str, str]:
    """Decider -> the external system whose ids it names."""
    deciders = {each.name: each.system or each.name for each in settings.decider}
    return deciders | {each.name: each.system or each.name for each in settings.router}


def only_by_decision(settings: Settings, reader: Any) -> Callable[[str, UserRef], bool]:
    """Whether a user shall serve only by an external decision: those that we made, and the named ones."""
    names = settings.assignment.only_by_decision

    def is_one(workspace: str, user: UserRef) -> bool:
        return user.username in names or seats.proxy(reader, workspace, user.id) is not None

    return is_one


def links_of(settings: Settings) -> dict[str, DeciderLink]:
    """A client for each decider; addresses come from the operator's own configuration. Close each client."""
    engine, systems = settings.engine, systems_of(settings)
    return {
        each.name: DeciderLink(
            create_client(base_url=each.url, max_connections=engine.max_in_flight, max_answer_bytes=ANSWER_BYTES),
            read_secrets(each.secret.reveal()),
            systems[each.name],
            frozenset(each.facts),
            each.timeout_ms / 1000,
            settings.assignment.public_url.rstrip("/"),
            asyncio.Semaphore(engine.max_in_flight),
            Breaker(engine.breaker_failures, int(engine.breaker_open_s * 1000)),
        )
        for each in settings.decider
    }
