"""Settings in, what the companion app of each workspace talks to out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from omnibridge.clock import Clock
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.connector import Connector
from omnibridge.connector.interface import ReadsAnswers
from omnibridge.connector.signing import read_secrets, signed_headers
from omnibridge.domain.conversation import Conversation
from omnibridge.engine.responses import Responses, read_neutral
from omnibridge.engine.shown import blocks_before
from omnibridge.engine.updating import Posted
from omnibridge.interaction.response_url import ResponseUrls
from omnibridge.rocketchat.app_client import AppClient
from omnibridge.storage.database import Database


def responses_of(connectors: Mapping[str, Connector]) -> Responses:
    """How each bot's answers to clicks are read."""
    readers = {
        name: each.read_answer if isinstance(each, ReadsAnswers) else read_neutral for name, each in connectors.items()
    }
    return Responses(readers)


def urls_of(settings: Settings, database: Database) -> ResponseUrls:
    """Signed with the installation's secret."""
    public_url = settings.interactions.public_url or settings.assignment.public_url
    return ResponseUrls(database.secret, public_url, settings.interactions.response_url_s)


def app_client_of(workspace: WorkspaceSettings, clock: Clock) -> AppClient | None:
    """None where there is no app. Close it."""
    secret = workspace.app_secret.reveal()
    if not secret:
        return None
    return AppClient(workspace.url, partial(signed_headers, read_secrets(secret)), clock, app_id=workspace.app_id)


def posted_of(database: Database) -> Posted:
    """The blocks of messages as they were before some of them went."""

    def posted(conversation_id: int, conversation: Conversation, message_id: str) -> list[dict[str, Any]]:
        return blocks_before(database.reader, database.secret, conversation_id, conversation, message_id)

    return posted
