"""Understanding an answer to numbered choices: by number or by label, exactly. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omnibridge.domain.content import Option

_NUMBER = re.compile(r"^\s*[#(\[]?\s*(\d{1,3})\s*[.)\]:]?\s*$")


def match_choice(text: str, options: Sequence[Option]) -> Option | None:
    """The option meant by `2`, `2.`, `#2`, `(2)` or its label; None when the text is something else.

    Labels are compared without regard to case, outer blanks and punctuation at the ends. A label that two
    options share means neither; nor does a number that is one option's place and another's label: the bot
    reads it as typed.
    """
    wanted = _plain(text)
    meant = [each for each in options if wanted and _plain(each.label) == wanted]
    found = _NUMBER.match(text)
    if found and 1 <= int(found.group(1)) <= len(options):
        placed = options[int(found.group(1)) - 1]
        meant += [] if placed in meant else [placed]
    return meant[0] if len(meant) == 1 else None


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .,!?;:\"'").casefold()
