"""Findings for people and for programs. Whatever a check said, no secret of the configuration gets out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import msgspec

from omnibridge.config import Settings
from omnibridge.doctor.finding import Finding

MARKS = {"ok": "ok  ", "look": "look", "warning": "warn", "problem": "FAIL"}
CAUSES = {"configuration", "reachable", "relay token", "relay roles", "bot user"}
"""Checks without which others cannot be made."""

SECRET_NAMES = ("token", "secret", "password", "key")
SHORTEST_SECRET = 4
"""Shorter values are words that stand in sentences."""


def redacted(findings: list[Finding], settings: Settings) -> list[Finding]:
    """The last line of defence: the text of another system may repeat what we sent it."""
    secrets = sorted((each for each in _secrets(settings) if len(each) >= SHORTEST_SECRET), key=len, reverse=True)

    def hide(text: str) -> str:
        for each in secrets:
            text = text.replace(each, "***")
        return text

    return [replace(each, found=hide(each.found), do=hide(each.do)) for each in findings]


def as_json(findings: list[Finding]) -> str:
    return msgspec.json.encode([each.as_json() for each in findings]).decode()


def as_text(findings: list[Finding]) -> str:
    """Grouped: this installation, then each workspace and its connections; a line per check, the next step below."""
    lines = []
    ordered = sorted(findings, key=lambda each: (each.workspace, each.connection))
    width = max((len(each.check) for each in findings), default=0)
    for (workspace, connection), group in groupby(ordered, key=lambda each: (each.workspace, each.connection)):
        title = f"workspace {workspace}" if workspace else "this installation"
        lines.append(f"{title}, connection {connection}" if connection else title)
        for each in group:
            side = f"[{each.side}] " if each.side else ""
            lines.append(f"  {MARKS[each.status]}  {each.check:<{width}}  {side}{each.found}")
            lines += [f"        {'':<{width}}  -> {step}" for step in each.do.split("; ") if step]
    if any(each.status == "problem" and each.check in CAUSES for each in findings):
        lines += ["", "Some checks were left out: correct the first problem of each part and run doctor again."]
    return "\n".join([*lines, "", summary(findings)])


def summary(findings: list[Finding]) -> str:
    """`2 problems, 1 warning, 20 checks fine, 1 to look at yourself`."""
    count = {status: sum(each.status == status for each in findings) for status in MARKS}
    problems = f"{count['problem']} problem{'' if count['problem'] == 1 else 's'}"
    warnings = f"{count['warning']} warning{'' if count['warning'] == 1 else 's'}"
    unseen = f", {count['look']} to look at yourself" if count["look"] else ""
    return f"{problems}, {warnings}, {count['ok']} checks fine{unseen}"


def _secrets(settings: Settings) -> Iterable[str]:
    for workspace in settings.workspace:
        yield workspace.auth_token.get_secret_value()
        yield workspace.webhook_token.get_secret_value()
        yield from workspace.app_secret.get_secret_value().split()
    yield from (each.rocketchat_token.get_secret_value() for each in settings.connection)
    yield from (each.secret.get_secret_value() for each in settings.analyser if each.secret.get_secret_value())
    for options in [each.options for each in settings.connection] + [each.options for each in settings.analyser]:
        for name, value in options.items():
            is_secret = any(part in name.casefold() for part in SECRET_NAMES)
            if is_secret and isinstance(value, str):
                yield value
