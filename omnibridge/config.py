"""Settings: what can be configured, with defaults and help. Checked once at start, then frozen.

`omnibridge.toml` plus `OMNIBRIDGE_*` (the environment wins); reading is in `config_reader.py`. The commented
sample and the table in deploy/SETTINGS.md are made from these fields by `config_sample.py`, so they cannot drift.
Kinds of values are in `config_values.py`; some tables in `config_agents.py` and `config_visitors.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SkipValidation

from omnibridge.config_agents import AgentsSettings
from omnibridge.config_lines import Sources
from omnibridge.config_values import (
    FACTS,
    FactName,
    Name,
    OptionalSigningSecret,
    RequiredSecret,
    Secret,
    Section,
    SigningSecret,
    Url,
    Ways,
)
from omnibridge.config_visitors import FilesSettings, InteractionSettings, TextsSettings
from omnibridge.errors import ConfigError


def _database_url(value: str) -> str:
    if value.startswith(("postgresql:", "postgresql+", "postgres:")):
        raise ValueError("PostgreSQL comes with a later version; use sqlite:///PATH now, on one node")
    if not value.removeprefix("sqlite:///").strip("/") or not value.startswith("sqlite:///") or ":memory:" in value:
        raise ValueError("must be sqlite:///PATH, with the path of a file")
    return value


COMPANION_APP = "c6a1b8f0-5d0e-4c57-9b1e-2f3a7d84e9b1"
"""`id` in deploy/rocketchat-app/app.json."""

DEFAULT_FACTS = ("workspace", "room", "department", "visitor_name")


class ServerSettings(Section):
    """Where the service listens, and how it logs."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    allowed_origins: tuple[str, ...] = Field(
        (), description="pages that may call /api/v1/bots/BOT/interactions from a browser: `https://www.example.com`"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: Literal["json", "text"] = Field("json", description="json: one object per line; text: for people")


class DatabaseSettings(Section):
    """Where journal and outbox are kept."""

    url: Annotated[str, AfterValidator(_database_url)] = Field(
        "sqlite:///var/omnibridge.db", description="sqlite:///PATH, relative to the configuration file"
    )
    commit_timeout_s: float = Field(4.0, gt=0, le=60, description="a webhook waits this long for its commit, then 503")


class EngineSettings(Section):
    """Times and limits of the relay."""

    reorder_window_ms: int = Field(
        150, ge=0, le=5000, description="a visitor's message waits this long for one that it overtook; 0 = not at all"
    )
    bot_turn_deadline_s: float = Field(30, gt=0, description="a bot has this long to answer one message")
    reply_deadline_s: float = Field(600, gt=0, description="an answer is worth posting this long")
    notice_after_s: float = Field(5, gt=0, description="a visitor who waits longer for a bot is told so")
    typing_after_s: float = Field(
        1, ge=0, le=30, description="a bot that takes longer is shown to type, where realtime = true; 0 = never"
    )
    max_in_flight: int = Field(64, ge=1, le=1000, description="calls at a time to one connection")
    breaker_failures: int = Field(5, ge=1, description="failures in a row before a connection is left alone")
    breaker_open_s: float = Field(5, gt=0, description="how long a failing connection is left alone")
    reconcile_every_s: float = Field(
        300,
        ge=0,
        description="pause between two comparisons with Rocket.Chat's rooms; 0 = only at start and after an outage",
    )


class RetentionSettings(Section):
    """How long what is settled is kept; 0 = for ever. What waits or cannot be read is never purged."""

    observations_days: float = Field(30, ge=0, description="raw webhooks, once handled; 0 = for ever")
    deliveries_days: float = Field(90, ge=0, description="deliveries, once settled; 0 = for ever")
    conversations_days: float = Field(365, ge=0, description="closed conversations with their decisions; 0 = for ever")
    audit_days: float = Field(
        365, ge=0, description="audits of API and external agents, requests that nobody answered; 0 = for ever"
    )
    every_s: float = Field(3600, ge=0.05, description="how often the old is looked for")


class WorkspaceSettings(Section):
    """One Rocket.Chat server, and the relay account on it (roles bot and livechat-manager)."""

    name: Name = Field(description="name in addresses, logs and rules")
    url: Url = Field(description="address of the server")
    user_id: str = Field(min_length=1, description="user id of the relay account")
    auth_token: RequiredSecret = Field(description="personal access token of the relay account")
    webhook_token: Secret = Field(
        min_length=8, description="Omnichannel > Webhooks > Secret Token; at least 8 characters"
    )
    http_timeout_s: float = Field(10, gt=0, le=120, description="for each REST call")
    reorder_window_ms: int | None = Field(None, ge=0, le=5000, description="overrides [engine] for this workspace")
    realtime: bool = Field(
        False, description="also listen to the server's realtime connection; then the webhook may even be off"
    )
    app_secret: OptionalSigningSecret = Field(
        Secret(""), description="whsec_ and base64, as in the companion app's settings; empty = there is no app"
    )
    blocks: bool = Field(
        False, description="the companion app is installed: choices are buttons in the widget, not numbered text"
    )
    app_id: str = Field(
        COMPANION_APP, min_length=1, description="id of the installed app that hears of presses; ours by default"
    )
    provisioner_user_id: str = Field("", description="user id of the account that makes users for [agents]")
    provisioner_token: Secret = Field(Secret(""), description="its personal access token, made with bypassTwoFactor")
    holding_bot: str = Field("", description="user name that the External routing method is answered with")
    holding_bots: dict[str, str] = Field(
        {}, description="department id = user name: other holding bots than holding_bot"
    )
    external_token: Secret = Field(
        Secret(""), description="Livechat_External_Queue_Token; empty = the External routing method is not answered"
    )


class ConnectionSettings(BaseModel):
    """One backend. Further keys belong to its connector; see the README in its folder."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    name: Name = Field(description="name in rules, logs and targets (bot:NAME)")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one")
    workspace: str = Field("", description="which workspace; may be left out when there is one")
    rocketchat_user: str = Field(
        min_length=1, description="user name that posts the bot's words (roles bot, livechat-agent)"
    )
    rocketchat_user_id: str = Field("", description="user id of that user; asked of the server when left out")
    rocketchat_token: RequiredSecret = Field(description="personal access token of that user")
    facts: tuple[FactName, ...] = Field(
        DEFAULT_FACTS, description="facts that the backend is told; room.* and visitor.* name whole groups"
    )
    on_uncertain: Literal["ask", "resend", "bury"] = Field(
        "ask", description="a turn that may have arrived: ask the backend, send again, or give it up"
    )
    fallbacks: int = Field(3, ge=0, description="answers not understood in a row before people are asked; 0 = never")
    bot_down: Literal["handover", "tell"] = Field(
        "handover", description="when the backend cannot be reached: hand over to people, or only tell the visitor"
    )

    choices: Literal["auto", "text", "blocks"] = Field(
        "auto",
        description="numbered text, or buttons; auto: buttons in the widget, if its workspace has blocks = true",
    )
    markup: Literal["markdown", "plain"] = Field(
        "markdown", description="what the bot writes: Rocket.Chat's markdown, or text of which each character is meant"
    )
    upload_files: bool = Field(
        False, description="upload the bot's pictures and files into the room; off: the visitor gets links"
    )
    file_hosts: tuple[str, ...] = Field(
        (), description="HOST or HOST:PORT that its files may be fetched from, besides that of its url"
    )
    decider: str = Field("", description="decider that is asked first when this bot gives way; else [handover] decider")
    analyses: bool = Field(False, description="it also looks at what is said while others are in control")
    hands_to: str = Field("", description="desk (another connection) that is offered the conversation before that")
    offer_s: float = Field(180.0, ge=1, le=86_400, description="of a desk: somebody has to accept within this time")
    on_declined: Ways = Field(
        "ladder",
        description="of a desk: when nobody accepts; people by the ladder, the queue, the bot, or the end (close); "
        'or by why: `{ default = "ladder", closed = "close" }`',
    )
    on_left: Ways = Field(
        "close", description="of a desk: what follows when its agent has ended the chat, as on_declined"
    )
    desk_deadline_s: float = Field(
        86_400.0, ge=30, description="of a desk: words of the visitor wait for it this long while it is down"
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Connectors' own keys may be secrets that only they know of: none is shown."""
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own settings, as written; KEY_file is already KEY."""
        return dict(self.model_extra or {})


class AnalyserSettings(BaseModel):
    """One connector that looks at conversations and says nothing. Further keys belong to it."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    name: Name = Field(description="name in addresses and logs, and of what it found")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one that analyses")
    workspace: str = Field("", description="which workspace it listens to; empty = all")
    secret: OptionalSigningSecret = Field(
        Secret(""), description="whsec_ and base64: what its system posts later is signed with, or is the bearer token"
    )
    timeout_s: float = Field(10, gt=0, le=120, description="for each message; a transcript too")
    keep_h: float = Field(24, gt=0, description="findings are shown so long")
    later_h: float = Field(1, gt=0, le=24, description="its system may post findings so long after the message")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """As of a connection."""
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own settings, as written; KEY_file is already KEY."""
        return dict(self.model_extra or {})


class DeciderSettings(Section):
    """One external system that is asked who serves."""

    name: Name = Field(description="name in rules and targets (decider:NAME)")
    url: Url = Field(description="address that the questions are posted to")
    secret: SigningSecret = Field(description="whsec_ and base64: signs our questions and its answers to tickets")
    system: str = Field("", description="whose agent ids it names; empty = its own name")
    facts: tuple[FactName, ...] = Field(
        (*FACTS, "room.*", "visitor.*"), description="facts that it is told; all of them by default"
    )
    timeout_ms: int = Field(3000, ge=50, le=60_000, description="it has this long to answer, attempts included")
    ticket_timeout_ms: int = Field(
        60_000, ge=100, description="a decision that it promised with a ticket is awaited this long at most"
    )
    move_timeout_ms: int = Field(30_000, ge=1000, description="the agent must have the room within this time")
    asks: int = Field(2, ge=1, le=5, description="questions per handover: again, when the named agent cannot serve")
    on_timeout: Literal["ladder", "queue", "bot"] = Field(
        "ladder",
        description="when it names nobody who can serve: people by the ladder, wait in the queue, or the bot goes on",
    )


class AssignmentSettings(Section):
    """Agents of external systems."""

    agents: dict[str, dict[str, str]] = Field(
        {}, description="system = { external id = user name }: users who are there already"
    )
    only_by_decision: tuple[str, ...] = Field(
        (), description="user names who serve only when an external system decided so; others are requeued"
    )
    look_again_s: float = Field(
        30,
        ge=0.1,
        description="what nobody serves but a holding bot, and what waits for a seat, is looked at again after this",
    )
    widget_listens_ms: int = Field(
        500,
        ge=0,
        le=5000,
        description="a room younger than this is not given to a person yet: the widget would not show who it is",
    )
    public_url: str = Field("", description="address at which deciders reach this service; empty = the path alone")


class CrmSettings(BaseModel):
    """One system of records that keeps who wrote and what was said. Further keys belong to its connector."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    name: Name = Field(description="name in logs, traces and deliveries")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one for records")
    workspace: str = Field("", description="which workspace it keeps; empty = all")
    on: tuple[Literal["start", "handover", "live", "close"], ...] = Field(
        ("start", "handover", "close"), description="when it is told; live: also while people talk"
    )
    facts: tuple[FactName, ...] = Field(
        (*FACTS, "room.*", "visitor.*"), description="facts that it is told; all of them by default"
    )
    link_field: str = Field("", description="custom field of the room that gets the link to the record; empty = none")
    live_every_s: float = Field(30, ge=1, le=3600, description="pause between two syncs while people talk")
    timeout_s: float = Field(300, ge=1, le=3600, description="for a whole sync; each of its calls has its own limit")
    keep_trying_h: float = Field(72, gt=0, le=720, description="a sync is tried for so long")
    at_a_time: int = Field(8, ge=1, le=64, description="conversations that are written at a time")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """As of a connection."""
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own settings, as written; KEY_file is already KEY."""
        return dict(self.model_extra or {})


class RouterSettings(BaseModel):
    """Another system's own routing: it decides like a decider, or we route for it. Further keys are its connector's."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    name: Name = Field(description="name in rules and targets (decider:NAME), logs and traces")
    kind: str = Field(min_length=1, description="which connector: the name of an installed one for routing")
    system: str = Field("", description="whose agent ids it names; empty = its own name")
    facts: tuple[FactName, ...] = Field(
        (*FACTS, "room.*", "visitor.*"), description="facts that it is told; all of them by default"
    )
    ticket_timeout_ms: int = Field(300_000, ge=100, description="somebody there must have taken it within this time")
    move_timeout_ms: int = Field(30_000, ge=1000, description="the agent must have the room within this time")
    asks: int = Field(2, ge=1, le=5, description="questions per handover: again, when the named agent cannot serve")
    on_timeout: Literal["ladder", "queue", "bot"] = Field(
        "ladder", description="when nobody there serves: people by the ladder, wait in the queue, or the bot goes on"
    )
    poll_s: float = Field(2, ge=0.05, le=60, description="pause between two looks for answers, while any is awaited")
    work_poll_s: float = Field(10, ge=0.05, le=300, description="pause between two looks for work that we route")
    sweep_s: float = Field(
        60, ge=0.05, le=3600, description="either pause while the other system tells of changes by itself, if longer"
    )
    work_page: int = Field(100, ge=1, le=1000, description="pieces of work in one look, the first to be served first")
    decider: str = Field("", description="[[decider]] that is asked who takes work; empty = the least busy agent")
    keep_days: float = Field(30, gt=0, le=3650, description="decisions about work can be looked at for so long")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """As of a connection."""
        return ((name, value) for name, value in super().__repr_args__() if name in type(self).model_fields)

    @property
    def options(self) -> dict[str, Any]:
        """The connector's own settings, as written; KEY_file is already KEY."""
        return dict(self.model_extra or {})


class RulesSettings(Section):
    """Who gets a conversation."""

    file: Path | None = Field(
        None, description="rules in TOML, relative to the configuration file; without: the first connection"
    )


class Settings(Section):
    """Everything, frozen."""

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    engine: EngineSettings = EngineSettings()
    retention: RetentionSettings = RetentionSettings()
    workspace: tuple[WorkspaceSettings, ...] = ()
    connection: tuple[ConnectionSettings, ...] = ()
    decider: tuple[DeciderSettings, ...] = ()
    analyser: tuple[AnalyserSettings, ...] = ()
    crm: tuple[CrmSettings, ...] = ()
    router: tuple[RouterSettings, ...] = ()
    assignment: AssignmentSettings = AssignmentSettings()
    rules: RulesSettings = RulesSettings()
    interactions: InteractionSettings = InteractionSettings()
    texts: TextsSettings = TextsSettings()
    files: FilesSettings = FilesSettings()
    agents: AgentsSettings = AgentsSettings()
    folder: Path = Field(Path("."), exclude=True, repr=False)
    sources: SkipValidation[Sources] = Field(default_factory=Sources, exclude=True, repr=False)

    def resolve(self, path: Path) -> Path:
        """A path of the configuration, relative to its file."""
        return path if path.is_absolute() else self.folder / path

    @property
    def decider_names(self) -> set[str]:
        """Whom rules may ask who serves: `decider:NAME`."""
        return {each.name for each in self.decider} | {each.name for each in self.router}

    @property
    def database_url(self) -> str:
        """With an absolute path."""
        return f"sqlite:///{self.resolve(Path(self.database.url.removeprefix('sqlite:///'))).resolve()}"

    def workspace_of(self, connection: ConnectionSettings) -> WorkspaceSettings:
        """Raises ConfigError when it is not one of ours."""
        for each in self.workspace:
            if each.name == connection.workspace or (not connection.workspace and len(self.workspace) == 1):
                return each
        raise ConfigError(f"[[connection]] {connection.name}: workspace {connection.workspace!r} is not configured")


SECTIONS: dict[str, tuple[type[BaseModel], str]] = {
    "server": (ServerSettings, "[server]"),
    "database": (DatabaseSettings, "[database]"),
    "engine": (EngineSettings, "[engine]"),
    "retention": (RetentionSettings, "[retention]"),
    "workspace": (WorkspaceSettings, "[[workspace]]"),
    "connection": (ConnectionSettings, "[[connection]]"),
    "decider": (DeciderSettings, "[[decider]]"),
    "analyser": (AnalyserSettings, "[[analyser]]"),
    "crm": (CrmSettings, "[[crm]]"),
    "router": (RouterSettings, "[[router]]"),
    "assignment": (AssignmentSettings, "[assignment]"),
    "rules": (RulesSettings, "[rules]"),
    "interactions": (InteractionSettings, "[interactions]"),
    "texts": (TextsSettings, "[texts]"),
    "files": (FilesSettings, "[files]"),
    "agents": (AgentsSettings, "[agents]"),
}
"""Tables of the file in the order of the sample: model and header."""
