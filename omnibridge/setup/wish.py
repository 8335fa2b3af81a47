"""What the admin wants of one workspace: from the command line, and from as much of a configuration as there is yet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from omnibridge.config import DatabaseSettings, WorkspaceSettings
from omnibridge.config_agents import AgentsSettings
from omnibridge.config_environment import read_environment
from omnibridge.config_lines import Sources
from omnibridge.config_values import Name, Url, suggest
from omnibridge.errors import ConfigError
from omnibridge.setup.record import Record

Kind = Literal["relay", "bot", "provisioner", "holding"]
PROVISIONER_ROLE = "omnibridge-provisioner"
HOLDING = "omnibridge-holding"
ROLES: Mapping[Kind, tuple[str, ...]] = {
    "relay": ("bot", "livechat-manager"),
    "bot": ("bot", "livechat-agent"),
    "provisioner": ("bot", PROVISIONER_ROLE),
    "holding": ("bot", "livechat-agent"),
}
"""Exactly these: no account can do more than its work takes."""

FILES = "-files"
"""Key under which the paths of secret files are kept while reading; no setting can have this name."""


@dataclass(frozen=True)
class Account:
    """One that there has to be. connection: of a bot. user_id, token: as the configuration has them, if it does.

    username is empty while only the id is known. file: of the token, relative to the configuration.
    """

    kind: Kind
    username: str
    connection: str = ""
    user_id: str = ""
    token: str = field(default="", repr=False)
    file: str = ""

    @property
    def roles(self) -> set[str]:
        return set(ROLES[self.kind])

    @property
    def title(self) -> str:
        titles = {"bot": f"bot user of {self.connection}", "holding": "holding bot"}
        return titles.get(self.kind, f"{self.kind} account")

    @property
    def is_agent(self) -> bool:
        return "livechat-agent" in self.roles

    @property
    def needs_token(self) -> bool:
        """Nobody ever speaks as the holding bot."""
        return self.kind != "holding"


@dataclass(frozen=True)
class Options:
    """Of the command line; empty = the configuration's, or the default. bots: CONNECTION or CONNECTION=USERNAME.

    external: let Rocket.Chat's routing method External ask us. holding: user name of its holding bot.
    """

    workspace: str = ""
    url: str = ""
    public_url: str = ""
    relay: str = ""
    bots: tuple[str, ...] = ()
    provisioner: str = ""
    external: bool = False
    holding: str = ""
    is_undo: bool = False


@dataclass(frozen=True)
class Wish:
    """workspace: its settings as far as they are known, for the checks of `doctor`. public_url: empty = not told.

    config: its path; has_config: there is one. webhook_token: empty = the configuration has none.
    webhook_file: where it is kept. external: the routing method External shall ask us; external_token, external_file:
    as with the webhook's.
    """

    config: Path
    has_config: bool
    workspace: WorkspaceSettings
    accounts: tuple[Account, ...]
    public_url: str
    agents: AgentsSettings
    commit_timeout_s: float
    only_by_decision: tuple[str, ...]
    webhook_token: str = field(default="", repr=False)
    webhook_file: str = ""
    external: bool = False
    external_token: str = field(default="", repr=False)
    external_file: str = ""

    @property
    def name(self) -> str:
        return self.workspace.name

    @property
    def url(self) -> str:
        return self.workspace.url

    @property
    def record_path(self) -> Path:
        return self.config.parent / f"setup-{self.name}.json"

    @property
    def exempt(self) -> set[str]:
        """Users who may be bot and agent without serving."""
        ours = self.workspace
        names = {each.username for each in self.accounts} | {ours.holding_bot, *ours.holding_bots.values()}
        return names - {""}


def read_wish(path: Path, environ: Mapping[str, str], options: Options) -> Wish:
    """Raises ConfigError with everything that is missing or wrong. The configuration may lack what setup makes."""
    problems: list[str] = []
    tables = _tables(path, environ, problems)
    workspaces, connections = _listed(tables, "workspace"), _listed(tables, "connection")
    own = _workspace(workspaces, options.workspace, problems)
    name = _checked(Name, options.workspace or str(own.get("name", "")) or "main", "--workspace", problems)
    url = (
        _checked(Url, options.url or str(own.get("url", "")), "--url", problems)
        if options.url or own.get("url")
        else ""
    )
    if not url and (record := path.parent / f"setup-{name}.json").exists():
        url = Record(record, name, "").url
    if not url:
        problems.append(f"--url: missing: the address of Rocket.Chat, or `url` of [[workspace]] {name} in {path}")
    public_url = options.public_url or str(_table(tables, "assignment").get("public_url", ""))
    if public_url:
        public_url = _checked(Url, public_url, "--public-url", problems)
    mine = [each for each in connections if each.get("workspace", "") in ("", name)]
    accounts = _accounts(name, own, mine, options, problems)
    plain = {key: each for key, each in _table(tables, "agents").items() if key != FILES}
    agents = _section(AgentsSettings, plain, "[agents]", problems)
    database = _section(DatabaseSettings, _table(tables, "database"), "[database]", problems)
    if problems:
        raise ConfigError(problems)
    known = {key: each for key, each in own.items() if key in ("holding_bot", "holding_bots", "realtime")}
    filler = {"user_id": "-", "auth_token": "-", "webhook_token": own.get("webhook_token") or "not known"}
    external = {"external_token": own["external_token"]} if own.get("external_token") else {}
    workspace = _section(
        WorkspaceSettings, {"name": name, "url": url, **filler, **known, **external}, f"[[workspace]] {name}", problems
    )
    if problems:
        raise ConfigError(problems)
    decided = tuple(str(each) for each in _table(tables, "assignment").get("only_by_decision", ()))
    return Wish(
        path,
        path.exists(),
        workspace,
        accounts,
        public_url,
        agents,
        database.commit_timeout_s,
        decided,
        str(own.get("webhook_token", "")),
        _file(own, "webhook_token") or f"{name}-webhook.secret",
        options.external,
        str(own.get("external_token", "")),
        _file(own, "external_token") or f"{name}-external.secret",
    )


def _accounts(
    name: str, own: dict[str, Any], connections: list[dict[str, Any]], options: Options, problems: list[str]
) -> tuple[Account, ...]:
    """name: of the workspace, for the names of files."""
    user_id, token = str(own.get("user_id", "")), str(own.get("auth_token", ""))
    relay = options.relay or ("" if user_id else "omnibridge")
    found = [Account("relay", relay, "", user_id, token, _file(own, "auth_token") or f"{name}-relay.secret")]
    bots = {
        str(each["name"]): Account(
            "bot",
            str(each.get("rocketchat_user") or each["name"]),
            str(each["name"]),
            str(each.get("rocketchat_user_id", "")),
            str(each.get("rocketchat_token", "")),
            _file(each, "rocketchat_token") or f"{each['name']}.secret",
        )
        for each in connections
        if each.get("name")
    }
    for text in options.bots:
        connection, _, username = text.partition("=")
        connection = _checked(Name, connection, f"--bot {text}", problems)
        before = bots.get(connection)
        if before is None or username not in ("", before.username):
            bots[connection] = Account("bot", username or connection, connection, file=f"{connection}.secret")
    if not bots and not options.is_undo:
        problems.append("--bot: missing: the name of a connection, as --bot assistant; or a [[connection]] to read")
    found += bots.values()
    provisioner_id = str(own.get("provisioner_user_id", ""))
    if options.provisioner or provisioner_id:
        file = _file(own, "provisioner_token") or f"{name}-provisioner.secret"
        token = str(own.get("provisioner_token", ""))
        found.append(Account("provisioner", options.provisioner, "", provisioner_id, token, file))
    if options.external:
        found.append(Account("holding", options.holding or str(own.get("holding_bot", "")) or HOLDING))
    names = [each.username for each in found if each.username]
    problems += [
        f"{each!r}: a user name has letters, digits, -, _ and . only"
        for each in names
        if not re.fullmatch(r"[0-9A-Za-z_.-]{1,64}", each)
    ]
    problems += [f"{each}: one user cannot be two accounts" for each in sorted(set(names)) if names.count(each) > 1]
    return tuple(found)


def _tables(path: Path, environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """The file under the environment, with the content of secret files that can be read; {} without a file."""
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig")) if path.exists() else {}
    except (OSError, ValueError) as exc:
        problems.append(f"{path}: cannot be read: {exc}")
        return {}
    problems += [f"{variable}: {what}" for variable, what in read_environment(environ, tables, Sources(str(path)))]
    for table in [*_listed(tables, "workspace"), *_listed(tables, "connection"), _table(tables, "agents")]:
        for key in [each for each in table if each.endswith("_file")]:
            plain, name = key.removesuffix("_file"), str(table.pop(key))
            file = path.parent / name
            table.setdefault(FILES, {})[plain] = name
            if file.is_file():
                try:
                    table[plain] = file.read_text("utf-8").strip()
                except (OSError, UnicodeDecodeError) as exc:
                    problems.append(f"{file}: cannot be read: {exc}")
    return tables


def _workspace(found: list[dict[str, Any]], name: str, problems: list[str]) -> dict[str, Any]:
    """The entry of that name, or the only one; {} when it is new."""
    if name:
        return next((each for each in found if each.get("name") == name), {})
    if len(found) > 1:
        names = [str(each.get("name", "")) for each in found]
        problems.append(f"--workspace: missing; there are {', '.join(names)}")
    return found[0] if found else {}


def _file(table: dict[str, Any], key: str) -> str:
    """The path that KEY_file named; empty when there was none."""
    return str(table.get(FILES, {}).get(key, ""))


def _listed(tables: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = tables.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _table(tables: dict[str, Any], name: str) -> dict[str, Any]:
    found = tables.get(name)
    return found if isinstance(found, dict) else {}


def _checked(kind: Any, value: str, what: str, problems: list[str]) -> str:
    try:
        return str(TypeAdapter(kind).validate_python(value))
    except ValidationError as exc:
        problems.append(f"{what}: {exc.errors(include_input=False)[0]['msg'].removeprefix('Value error, ')}")
        return value


def _section(model: Any, values: dict[str, Any], where: str, problems: list[str]) -> Any:
    """Of the configuration's own type, so that it means here what it means to the service."""
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        for each in exc.errors(include_url=False, include_input=False, include_context=False):
            key = ".".join(str(part) for part in each["loc"])
            hint = suggest(key, list(model.model_fields)) if each["type"] == "extra_forbidden" else ""
            problems.append(f"{where} {key}: {each['msg'].removeprefix('Value error, ')}{hint}")
        return model.model_construct()
