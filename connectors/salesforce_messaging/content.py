"""Messages of agents as neutral content, and what visitors do as messages of the API (2.5, 2.6, 2.9). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from omnibridge.connector import (
    Card,
    Carousel,
    Choices,
    Content,
    Custom,
    File,
    Form,
    FormField,
    Image,
    Link,
    Option,
    Select,
    Text,
)

_VALUE = re.compile(r"sfm:([0-9a-fA-F-]{36}):(.+)", re.DOTALL)
_TYPES = {"email": "email", "number": "number", "date": "date", "datepicker": "date", "textarea": "long_text"}


def attachments_of(abstract: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Files that a message brings, in order. Each is fetched with our token: people cannot."""
    content = abstract.get("staticContent")
    found = content.get("attachments") if isinstance(content, dict) else None
    return [each for each in found or () if isinstance(each, dict)] if isinstance(found, list) else []


def contents_of(abstract: Mapping[str, Any], files: Mapping[str, str]) -> tuple[Content, ...]:
    """files: id of each attachment -> where it is now; '' or missing: it could not be had. A kind that is not known is
    its words, or `Custom` when it has none. Raises nothing."""
    kind = str(abstract.get("messageType") or "")
    read = _KINDS.get(kind)
    try:
        found = read(abstract, files) if read else ()
    except (AttributeError, KeyError, TypeError, ValueError):
        found = ()
    if found:
        return found
    words = _words(abstract)
    return (Text(words),) if words else (Custom({"salesforce": kind}),)


def text_message(message_id: str, text: str) -> dict[str, Any]:
    content = {"formatType": "Text", "text": text}
    return {"id": message_id, "messageType": "StaticContentMessage", "staticContent": content}


def choice_message(message_id: str, value: str) -> dict[str, Any] | None:
    """An answer to choices; value: as `contents_of` gave it to the option. None: it is not of ours."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    return {
        "id": message_id,
        "messageType": "ChoicesResponseMessage",
        "inReplyToMessageId": found[1],
        "choicesResponse": {"formatType": "Selections", "selectedOptions": [{"optionIdentifier": found[2]}]},
    }


def form_message(message_id: str, form: str, values: Mapping[str, str]) -> dict[str, Any]:
    """form: id of the message that showed it. The shape is a guess (reference 2.5)."""
    inputs = [{"id": name, "value": value} for name, value in values.items()]
    return {
        "id": message_id,
        "messageType": "FormResponseMessage",
        "inReplyToMessageId": form,
        "formResponse": {"formatType": "Inputs", "inputs": inputs},
    }


def _static(abstract: Mapping[str, Any], files: Mapping[str, str]) -> tuple[Content, ...]:
    content = abstract["staticContent"]
    style, text = content.get("formatType"), str(content.get("text") or "")
    if style == "RichLink":
        item = content["linkItem"]
        return _link(str(item["url"]), _title(item.get("titleItem")))
    if style in ("WebView", "ExternalAttachments") and content.get("url"):
        return _link(str(content["url"]), _title(content.get("title")))
    found: list[Content] = [Text(text)] if text else []
    for each in attachments_of(abstract):
        name, media_type = str(each.get("name") or "file"), str(each.get("mimeType") or "")
        url = files.get(str(each.get("id")), "")
        if not url:
            found.append(Text(f"[{name}]"))
        elif media_type.startswith("image/"):
            found.append(Image(url, name))
        else:
            found.append(File(url, name, media_type))
    return tuple(found)


def _choices(abstract: Mapping[str, Any], _: Mapping[str, str]) -> tuple[Content, ...]:
    """The official sample looks under staticContent, the documents say choices."""
    asked = abstract.get("choices") or abstract["staticContent"]
    message, text, style = str(abstract["id"]), str(asked.get("text") or ""), asked.get("formatType")
    items = [each for each in asked["optionItems"] if each.get("optionIdentifier")]
    options = [Option(_title(each.get("titleItem")), _value(message, each)) for each in items]
    if not options:
        return ()
    more = [_subtitle(each.get("titleItem")) for each in items]
    if style == "Carousel":
        images = _images(asked, items)
        cards = (
            Card(option.label, below, image, (option,))
            for option, below, image in zip(options, more, images, strict=True)
        )
        return (*((Text(text),) if text else ()), Carousel(tuple(cards)))
    lines = [f"{option.label}: {below}" for option, below in zip(options, more, strict=True) if below]
    text = "\n".join([text, *lines]) if lines else text
    return (Select(text, tuple(options)),) if style == "ListPicker" else (Choices(text, tuple(options)),)


def _form(abstract: Mapping[str, Any], _: Mapping[str, str]) -> tuple[Content, ...]:
    form = abstract["form"]
    inputs = form.get("inputs") or [each for section in form["sections"] for each in section["inputs"]]
    fields = tuple(_field(each) for each in inputs if not each.get("isHidden"))
    text = _title(form.get("title") or form.get("formTitle") or form.get("message"))
    return (Form(text, fields),) if fields else ()


def _field(given: Mapping[str, Any]) -> FormField:
    options = tuple(_picked(each) for each in given.get("options") or given.get("optionItems") or ())
    kind: Any = "select" if options else _TYPES.get(str(given.get("inputType") or given.get("type")).casefold(), "text")
    name, label = str(given.get("id") or given["name"]), _title(given.get("label") or given.get("titleItem"))
    return FormField(name, label or name, kind, options, bool(given.get("required", True)))


def _picked(given: Any) -> Option:
    if isinstance(given, str):
        return Option(given, given)
    label = _title(given.get("titleItem") or given.get("label") or given.get("title"))
    return Option(label, str(given.get("optionIdentifier") or given.get("value") or label))


def _value(message: str, item: Mapping[str, Any]) -> str:
    return f"sfm:{message}:{item['optionIdentifier']}"


def _images(asked: Mapping[str, Any], items: list[dict[str, Any]]) -> list[str | None]:
    given = [each for each in asked.get("images") or () if isinstance(each, dict)]
    by_id = {str(each.get("optionIdentifier")): str(each.get("assetUrl") or "") for each in given}
    found = (by_id.get(str(each["optionIdentifier"]), "") for each in items)
    return [each if each.startswith("https://") else None for each in found]


def _link(url: str, title: str) -> tuple[Content, ...]:
    if url.startswith(("http://", "https://")):
        return (Link(url, title),)
    return (Text(title),) if title else ()


def _title(given: Any) -> str:
    return str(given.get("title") or "") if isinstance(given, dict) else str(given or "")


def _subtitle(given: Any) -> str:
    names = ("subTitle", "secondarySubTitle", "tertiarySubTitle")
    return ", ".join(str(given[each]) for each in names if given.get(each)) if isinstance(given, dict) else ""


def _words(given: Any, depth: int = 0) -> str:
    """The first text or title of a message of an unknown kind."""
    if not isinstance(given, dict) or depth > 3:
        return ""
    for each in ("text", "title", "message"):
        if isinstance(given.get(each), str) and given[each].strip():
            return str(given[each])
    return next((found for each in given.values() if (found := _words(each, depth + 1))), "")


_KINDS: dict[str, Callable[[Mapping[str, Any], Mapping[str, str]], tuple[Content, ...]]] = {
    "StaticContentMessage": _static,
    "ChoicesMessage": _choices,
    "FormMessage": _form,
}
