"""[interactions], [texts] and [files]: what visitors press, read and send."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from omnibridge.config_values import FactName, OptionalUrl, Section


class InteractionSettings(Section):
    """What bots are told of clicks, and how they may answer later."""

    public_url: OptionalUrl = Field(
        "", description="address at which bots reach this service; empty = that of [assignment], else the path alone"
    )
    response_url_s: float = Field(
        1800, gt=0, le=604_800, description="how long the response_url of a click works, seconds"
    )


class Sentences(Section):
    """Sentences that visitors read, in one language."""

    bot_down: str = Field("The assistant cannot be reached right now.", description="the bot gave no answer at all")
    delayed: str = Field("One moment please, this is taking longer than usual.", description="the bot is slow")
    nobody_online: str = Field(
        "Nobody is available right now. Please leave a message or try again later.",
        description="no person could take over",
    )
    handover: str = Field("I am connecting you with a colleague.", description="we hand over, not the bot itself")
    undeliverable: str = Field(
        "One answer could not be delivered. Please ask again.", description="an answer was given up"
    )
    no_files: str = Field("I cannot read files. Please describe it in words.", description="a file for a text-only bot")
    file_too_big: str = Field(
        "{name} is too big: at most {limit} can be read here.", description="a file that is too big for the bot"
    )
    file_type: str = Field(
        "{name} cannot be read here: files of this type are not taken.", description="a file of another type"
    )
    file_count: str = Field(
        "At most {limit} files can be read at a time; the others were not.", description="too many files at a time"
    )
    file_lost: str = Field(
        "A file for you could not be delivered: {name}.", description="a bot's file that could not be shown at all"
    )
    close_comment: str = Field("Closed by the assistant.", min_length=1, description="comment when a bot closes")
    speaks_as: str = Field(
        "{name}: ", description="in front of an external agent's words where his own user cannot post them"
    )
    queue_position: str = Field(
        "You are number {position} in the queue.", description="the visitor's place in a desk's queue, at each change"
    )
    queue_position_wait: str = Field(
        "You are number {position} in the queue; the wait is about {minutes} min.",
        description="the same, where the desk tells how long it takes",
    )
    queue_wait: str = Field(
        "The wait is about {minutes} min.", description="a desk tells how long it takes, and no place, at each change"
    )
    desk_left: str = Field("", description="a desk's agent ended it")
    pressed: str = Field(
        "", description="what a visitor pressed, told in the room as {label}; empty = nothing of it is to be read there"
    )
    desk: dict[str, str] = Field(
        {},
        description="by what a desk tells: why it does not take a conversation or ended it, or its notices: "
        '`closed = "..."`, or `"CONNECTION:closed"` for one desk',
    )


class TextsSettings(Sentences):
    """Sentences that visitors read; empty = say nothing."""

    language_facts: tuple[FactName, ...] = Field(
        ("visitor.language", "room.language"), description="facts that tell a visitor's language, the first that does"
    )
    languages: dict[str, Sentences] = Field(
        {}, description="[texts.languages.de]: the same keys in German, also for de-AT; what it leaves out is as above"
    )

    @field_validator("languages")
    @classmethod
    def _are_languages(cls, value: dict[str, Sentences]) -> dict[str, Sentences]:
        for each in value:
            if not re.fullmatch(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*", each):
                raise ValueError(f'"{each}" is no language: one such as de or pt-BR')
        return value


class FilesSettings(Section):
    """Files of visitors for bots, and of bots for visitors."""

    public_url: OptionalUrl = Field(
        "", description="address at which bots reach this service for visitors' files; empty = [server] host and port"
    )
    link_minutes: float = Field(60, gt=0, le=10_080, description="a link to a visitor's file works this long")
    max_bytes: int = Field(
        20 * 1024 * 1024, ge=0, description="largest file of a visitor that a bot gets; 0 = as the workspace allows"
    )
    types: tuple[str, ...] = Field(
        (), description="media types (image/*) and extensions (.pdf) of visitors that bots get; empty = all"
    )
    upload_max_bytes: int = Field(
        20 * 1024 * 1024, gt=0, description="largest file of a bot that is uploaded, where upload_files = true"
    )
    upload_types: tuple[str, ...] = Field(
        (), description="media types and extensions of bots that are uploaded; empty = all"
    )
    upload_timeout_s: float = Field(60, gt=0, le=600, description="fetching and uploading one file take this long")
