"""Files of a visitor: those that the bot takes go with the turn, of each other he is told why not."""

from __future__ import annotations

import msgspec

from omnibridge.domain import events as ev
from omnibridge.domain.commands import Command
from omnibridge.domain.conversation import Conversation
from omnibridge.domain.files import FileRef, plain_name, shown_size
from omnibridge.routing.context import Context, tell
from omnibridge.routing.decision import Decision

LONGEST_SHOWN = 60
MOST_TOLD = 3
"""Sentences for one message: twenty refused files are not told one by one."""


class Sorted(msgspec.Struct, frozen=True):
    """sentences: what the visitor reads about the files that are not taken. n_refused: how many those are."""

    taken: tuple[FileRef, ...] = ()
    n_refused: int = 0
    sentences: tuple[str, ...] = ()

    def tell(self, conversation: Conversation, connection: str) -> tuple[Command, ...]:
        """None where the operator left the texts empty."""
        return tuple(command for each in self.sentences for command in tell(conversation, each, connection))

    def in_words(self, *, is_told: bool) -> str:
        """For the reason of a decision."""
        sent = f" and sent {len(self.taken)} files" if len(self.taken) > 1 else " and sent a file" * len(self.taken)
        if not self.n_refused:
            return sent
        those = "a file" if self.n_refused == 1 else f"{self.n_refused} files"
        return f"{sent} and sent {those} of which he is {'told' if is_told else 'not told'} that it is not read"


def sort_out(context: Context, connection: str, event: ev.MessagePosted) -> Sorted:
    """What a connection takes of a message, by its policy."""
    if not event.has_file:
        return Sorted()
    bot, texts = context.directory.connection(connection), context.texts
    if bot is None or bot.files is None or not event.files:
        return Sorted((), max(1, len(event.files)), (texts.no_files,))
    policy = bot.files
    taken: list[FileRef] = []
    sentences: list[str] = []
    for each in event.files:
        why = policy.refusal(each.name, each.media_type, each.size)
        if not why and policy.max_count and len(taken) == policy.max_count:
            why = "count"
        if why == "":
            taken.append(each)
        elif why == "size":
            sentences.append(_filled(texts.file_too_big, each.name, shown_size(policy.max_bytes)))
        elif why == "type":
            sentences.append(_filled(texts.file_type, each.name, ""))
        else:
            sentences.append(_filled(texts.file_count, each.name, str(policy.max_count)))
    once = tuple(dict.fromkeys(each for each in sentences if each))
    return Sorted(tuple(taken), len(event.files) - len(taken), once[:MOST_TOLD])


def nothing_to_read(
    context: Context, conversation: Conversation, connection: str, found: Sorted, told: tuple[Command, ...]
) -> Decision:
    """No words, and no file that the bot takes."""
    if not told:
        return context.decide("nothing that a bot could read", conversation)
    return context.decide(f"a file that {connection} does not take: the visitor is told", conversation, *told)


def _filled(text: str, name: str, limit: str) -> str:
    """The name is the visitor's: without what would be drawn as a link, a picture or a mention."""
    plain = "".join("_" if each in "[](){}!`*~@#_" else each for each in plain_name(name))
    shown = plain if len(plain) <= LONGEST_SHOWN else f"{plain[: LONGEST_SHOWN - 1]}…"
    return text.replace("{limit}", limit).replace("{name}", shown)
