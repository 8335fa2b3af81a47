"""Understanding an answer to numbered choices: by number or by label, exactly. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omnibridge.domain.content import Option

_NUMBER = re.compile(r"^\s*[#(\[]?\s*(\d{1,3})\s*[.)\]:]?\s*$")


def match_choice(text: str, options: Sequence[Option]) -> Option | None:
    """The option meant by `2`, `2.`, `#2`, `(2)` or its label; None when the text is something else.

    Labels are compared without regard to case, outer blanks and punctuation at the ends. A label that two
    options share means neither.
    """
    found = _NUMBER.match(text)
    if found:
        number = int(found.group(1))
        return options[number - 1] if 1 <= number <= len(options) else None
    wanted = _plain(text)
    matching = [each for each in options if wanted and _plain(each.label) == wanted]
    return matching[0] if len(matching) == 1 else None


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .,!?;:\"'").casefold()
