"""Names that Google's service goes by: hosts, session paths, context names, session ids. Pure.

Source: the generated clients 2.54.0 and 2.9.0; the session id's limit of 36 is theirs. They escape nothing, so only
letters, digits, `-` and `_` may be in a part.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.dialogflow.settings import DialogflowSettings

HOST = "dialogflow.googleapis.com"
CHECK_SESSION = "omnibridge-check"
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,36}")
_PART = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_LOCATION = re.compile(r"[a-z]+(-[a-z0-9]+)*")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
RESERVED = re.compile(r"__system_counters__|_id_dialog_context|_dialog_params_")
"""Contexts of the service's own, which nobody else may set."""


@dataclass(frozen=True)
class Target:
    """Where the requests go. host: with port. is_plain: without TLS, on this machine."""

    host: str
    is_plain: bool = False


def target_of(settings: DialogflowSettings) -> Target:
    """Raises ValueError that says what is wrong with `url` or `location`."""
    location = settings.location
    if not _LOCATION.fullmatch(location):
        raise ValueError(f"location {location!r} is none: `global`, or a region such as europe-west1")
    own = HOST if location == "global" else f"{location}-{HOST}"
    if not settings.url:
        return Target(f"{own}:443")
    address = urlsplit(settings.url)
    try:
        host, port = address.hostname or "", address.port
    except ValueError:
        host, port = "", None
    if not host or address.path not in ("", "/") or address.username or address.query:
        raise ValueError("url must be https://HOST[:PORT], or grpc://127.0.0.1:PORT for a simulator")
    if address.scheme == "grpc":
        if not _is_loopback(host) or port is None:
            raise ValueError(
                "url grpc:// is without TLS, so only for a simulator on this machine: grpc://127.0.0.1:PORT"
            )
        return Target(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", is_plain=True)
    if address.scheme != "https":
        raise ValueError("url must begin with https://, or grpc:// for a simulator on this machine")
    if host.endswith(HOST) and host != own:
        raise ValueError(f"url names another region than location: its host is {own}; or leave url out")
    return Target(f"{host}:{port or 443}")


def check(settings: DialogflowSettings, project: str) -> None:
    """Raises ValueError that says which setting cannot work, alone or with the others."""
    target_of(settings)
    session_path(settings, project, CHECK_SESSION)
    flow_versions(settings, project)
    if settings.long_text == "whole" and settings.edition == "es":
        raise ValueError('long_text = "whole" is for CX: ES refuses more than 256 characters')
    if settings.keep_alive_event and (settings.edition == "cx" or not settings.keep_contexts_s):
        raise ValueError("keep_alive_event is for ES, with keep_contexts_s above 0; CX keeps a session by itself")


def session_path(settings: DialogflowSettings, project: str, session_id: str) -> str:
    """The session's name in requests. Raises ValueError that says which setting is wrong."""
    for name, value in (("project", project), ("environment", settings.environment)):
        if value and not _PART.fullmatch(value):
            raise ValueError(f"{name} {value!r} is none: letters, digits, - and _")
    if not project:
        raise ValueError("project is missing: the id of the Google Cloud project, as in the key's project_id")
    session = session_of(session_id)
    if settings.edition == "cx":
        if not _UUID.fullmatch(settings.agent):
            raise ValueError("agent must be the agent's UUID: the part after /agents/ in the console's address")
        agent = f"projects/{project}/locations/{settings.location}/agents/{settings.agent}"
        return f"{agent}{_environment(settings, '')}/sessions/{session}"
    if settings.agent or settings.flow_versions:
        raise ValueError('agent and flow_versions are for edition = "cx"; an ES agent is named by its project')
    place = "" if settings.location == "global" else f"/locations/{settings.location}"
    return f"projects/{project}{place}/agent{_environment(settings, '/users/-')}/sessions/{session}"


def flow_versions(settings: DialogflowSettings, project: str) -> list[str]:
    """Full names of CX's flow versions. Raises ValueError."""
    agent = f"projects/{project}/locations/{settings.location}/agents/{settings.agent}"
    found = []
    for each in settings.flow_versions:
        flow, slash, version = each.partition("/")
        if not slash or not _PART.fullmatch(flow) or not _PART.fullmatch(version):
            raise ValueError(f"flow_versions: {each!r} is none: FLOW/VERSION, both as in the console's address")
        found.append(f"{agent}/flows/{flow}/versions/{version}")
    return found


def session_of(session_id: str) -> str:
    """At most 36 safe characters; always the same for the same id."""
    if _SESSION.fullmatch(session_id):
        return session_id
    return hashlib.sha256(session_id.encode()).hexdigest()[:32]


def context_name(session: str, context: str) -> str:
    """Of an ES context in a session. Ids are lower case, of letters, digits, `_`, `%`, `-`."""
    return f"{session}/contexts/{context.lower()}"


def parameter_name(fact: str) -> str:
    """`room.ticket` -> `room_ticket`: agents cannot refer to names with a full stop."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", fact)


def _environment(settings: DialogflowSettings, user: str) -> str:
    return f"/environments/{settings.environment}{user}" if settings.environment else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
