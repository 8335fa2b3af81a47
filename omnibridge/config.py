"""Settings: what can be configured, with defaults and help. Checked once at start, then frozen.

`omnibridge.toml` plus `OMNIBRIDGE_*` (the environment wins); reading is in `config_reader.py`. The commented
sample and the table in deploy/SETTINGS.md are made from these fields by `config_sample.py`, so they cannot drift.
Kinds of values are in `config_values.py`; tables also in `config_connections.py`, `config_systems.py`,
`config_agents.py` and `config_visitors.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SkipValidation

from omnibridge.config_agents import AgentsSettings
from omnibridge.config_connections import ConnectionSettings
from omnibridge.config_lines import Sources
from omnibridge.config_systems import AnalyserSettings, AssignmentSettings, CrmSettings, DeciderSettings, RouterSettings
from omnibridge.config_values import Name, OptionalSigningSecret, RequiredSecret, Secret, Section, Url
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
