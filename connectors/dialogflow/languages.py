"""Which of the agent's languages a visitor gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def language_of(facts: Mapping[str, Any], names: Sequence[str], languages: Sequence[str]) -> str:
    """The first fact that tells one of the agent's languages decides; else the first language.

    `pt-PT` is exactly that, else `pt`, else another `pt-…`.
    """
    for name in names:
        wanted = facts.get(name)
        found = _match(wanted, languages) if isinstance(wanted, str) else ""
        if found:
            return found
    return languages[0]


def _match(wanted: str, languages: Sequence[str]) -> str:
    tag = wanted.strip().replace("_", "-").casefold()
    plain = {each.casefold(): each for each in reversed(languages)}
    base = tag.partition("-")[0]
    if tag in plain or base in plain:
        return plain.get(tag) or plain[base]
    return next((each for each in languages if base and each.casefold().partition("-")[0] == base), "")
