"""What is said, between Salesforce's abstractMessage and neutral content, both ways (reference 2.5, 2.6, 2.9). Pure.

A custom client may send text, files, and answers to choices and forms; all else of ours goes as text. What answers a
question names the message it was asked in: so values of options and names of fields carry that message's id, and an
answer needs no memory. Texts and addresses of agents are hostile: only http and https become links.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from omnibridge.connector import (
    Card,
    Carousel,
    Choices,
    Content,
    Custom,
    DatePick,
    File,
    Form,
    FormField,
    Image,
    Link,
    Option,
    Select,
    Text,
)

LONGEST = 4096
"""Characters of one text. No limit is documented; this one is safe."""
_SEPARATOR = ":"
_LISTS = frozenset({"ListPicker", "List", "Dropdown"})
_FIELDS = {
    "text": "text",
    "textinput": "text",
    "phone": "text",
    "longtext": "long_text",
    "textarea": "long_text",
    "multilinetext": "long_text",
    "number": "number",
    "email": "email",
    "date": "date",
    "datepicker": "date",
    "select": "select",
    "selectinput": "select",
    "picklist": "select",
    "listpicker": "select",
    "choicelist": "select",
    "checkbox": "select",
}
"""Salesforce's kinds of inputs -> ours."""


class Attachment(NamedTuple):
    """A file of an agent. url: Salesforce's; fetched with the token and never shown to the visitor."""

    id: str
    name: str
    media_type: str
    url: str


# -- from Salesforce -----------------------------------------------------------------------------------------


def contents_of(abstract: Mapping[str, Any]) -> tuple[Content, ...]:
    """What a message shows, in order. Files keep Salesforce's address: see `attachments_of`.

    Empty for partial texts of AI agents. What nobody knows is `Custom`, or its text where it has one.
    """
    kind = abstract.get("messageType")
    read = _KINDS.get(kind) if isinstance(kind, str) else None
    if kind in ("StreamingToken", "ChoicesResponseMessage", "FormResponseMessage"):
        return ()
    try:
        found = read(abstract) if read else ()
    except (AttributeError, KeyError, TypeError, ValueError):
        found = ()
    return found or _unknown(abstract)


def attachments_of(abstract: Mapping[str, Any]) -> tuple[Attachment, ...]:
    content = abstract.get("staticContent")
    rows = content.get("attachments") if isinstance(content, dict) else None
    return tuple(
        Attachment(_str(each.get("id")), _str(each.get("name")), _str(each.get("mimeType")), _str(each.get("url")))
        for each in (rows if isinstance(rows, list) else ())
        if isinstance(each, dict) and _is_web(_str(each.get("url")))
    )


def _static(abstract: Mapping[str, Any]) -> tuple[Content, ...]:
    if "optionItems" in abstract["staticContent"]:  # where the official sample looks for choices
        return _choices({**abstract, "choices": abstract["staticContent"]})
    content = abstract["staticContent"]
    text = _str(content.get("text"))
    said: tuple[Content, ...] = (Text(text),) if text.strip() else ()
    match content.get("formatType"):
        case "RichLink":
            return said + _link(content)
        case "Attachments":
            return said + tuple(_file(each) for each in attachments_of(abstract))
        case "ExternalAttachments" | "WebView":
            rows = content.get("attachments") or [content]
            return said + tuple(_shown(_str(each.get("url")), _str(each.get("title"))) for each in rows)
        case _:
            return said


def _link(content: Mapping[str, Any]) -> tuple[Content, ...]:
    item = content["linkItem"]
    url, title = _str(item["url"]), _title(item)
    picture = _str((content.get("image") or {}).get("assetUrl"))
    if not _is_web(url) or not _is_web(picture):
        return (_shown(url, title),)
    return (Card(title or url, image_url=picture, options=(Option(title or url, url=url),)),)


def _file(found: Attachment) -> Content:
    if found.media_type.startswith("image/"):
        return Image(found.url, found.name)
    return File(found.url, found.name, found.media_type)


def _choices(abstract: Mapping[str, Any]) -> tuple[Content, ...]:
    choices = abstract.get("choices") or abstract["staticContent"]
    items = [each for each in choices["optionItems"] if isinstance(each, dict)]
    text = _str(choices.get("text"))
    if choices.get("formatType") == "Carousel":
        pictures = {
            _str(each.get("optionIdentifier")): _str(each.get("assetUrl"))
            for each in choices.get("images") or ()
            if isinstance(each, dict)
        }
        cards = tuple(_card(abstract, each, pictures) for each in items)
        return ((Text(text),) if text.strip() else ()) + ((Carousel(cards),) if cards else ())
    options = tuple(Option(_label(each), _value(abstract, each)) for each in items)
    if not options:
        return (Text(text),) if text.strip() else ()
    return (Select(text, options),) if choices.get("formatType") in _LISTS else (Choices(text, options),)


def _card(abstract: Mapping[str, Any], item: Mapping[str, Any], pictures: Mapping[str, str]) -> Card:
    title = item.get("titleItem") or {}
    lines = [_str(title.get(each)) for each in ("subTitle", "secondarySubTitle", "tertiarySubTitle")]
    picture = pictures.get(_identifier(item), "")
    label = _title(item)
    return Card(
        label,
        "\n".join(each for each in lines if each),
        picture if _is_web(picture) else None,
        (Option(label, _value(abstract, item)),),
    )


def _form(abstract: Mapping[str, Any]) -> tuple[Content, ...]:
    """The shape of inputs is a guess: those in sections, or those of the form."""
    form = abstract["form"]
    sections = form.get("sections") or [form]
    inputs = [each for section in sections for each in section.get("inputs") or () if isinstance(each, dict)]
    fields = tuple(_field(abstract, each) for each in inputs)
    text = _str(form.get("formTitle") or form.get("title") or form.get("message"))
    return (Form(text, fields),) if fields else ()


def _field(abstract: Mapping[str, Any], given: Mapping[str, Any]) -> FormField:
    name = _str(given.get("id") or given.get("identifier") or given["name"])
    kind = _FIELDS.get(_str(given.get("inputType") or given.get("type")).lower(), "text")
    rows = [each for each in given.get("options") or given.get("optionItems") or () if isinstance(each, str | dict)]
    options = tuple(
        Option(each, each) if isinstance(each, str) else Option(_label(each), _identifier(each)) for each in rows
    )
    if kind == "select" and not options:
        kind = "text"
    label = _str(given.get("label")) or _title(given) or name
    required = given.get("required") is not False and given.get("isRequired") is not False
    return FormField(carry(_str(abstract.get("id")), name), label, kind, options, required)  # type: ignore[arg-type]


def _unknown(abstract: Mapping[str, Any]) -> tuple[Content, ...]:
    for key in ("staticContent", "choices", "form"):
        content = abstract.get(key)
        text = _str(content.get("text") or content.get("title")) if isinstance(content, dict) else ""
        if text.strip():
            return (Text(text),)
    return (Custom({"salesforce": dict(abstract)}),)


def _shown(url: str, title: str) -> Content:
    return Link(url, title) if _is_web(url) else Text(f"{title} {url}".strip())


def _label(item: Mapping[str, Any]) -> str:
    title = item.get("titleItem") or {}
    sub = _str(title.get("subTitle")) if isinstance(title, dict) else ""
    return f"{_title(item)} - {sub}" if sub else _title(item)


def _title(item: Mapping[str, Any]) -> str:
    title = item.get("titleItem")
    given = title.get("title") if isinstance(title, dict) else None
    return _str(given or item.get("label") or item.get("title"))


def _identifier(item: Mapping[str, Any]) -> str:
    return _str(item.get("optionIdentifier") or item.get("optionId") or item.get("id") or item.get("value"))


def _value(abstract: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    return carry(_str(abstract.get("id")), _identifier(item))


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://")) and url.isprintable() and " " not in url


_KINDS: dict[str, Callable[[Mapping[str, Any]], tuple[Content, ...]]] = {
    "StaticContentMessage": _static,
    "ChoicesMessage": _choices,
    "FormMessage": _form,
}


# -- to Salesforce -------------------------------------------------------------------------------------------


def carry(message_id: str, name: str) -> str:
    """An option's or field's name with the message that asked."""
    return f"{message_id}{_SEPARATOR}{name}"


def carried(value: str) -> tuple[str, str]:
    """Message and name; both empty when it is none of ours."""
    message_id, separator, name = value.partition(_SEPARATOR)
    return (message_id, name) if separator and len(message_id) == 36 and name else ("", "")


def text_message(message_id: str, text: str, in_reply_to: str = "") -> dict[str, Any]:
    """text: not longer than LONGEST, see `pieces`."""
    content = {"formatType": "Text", "text": text}
    return _message(message_id, "StaticContentMessage", in_reply_to, staticContent=content)


def choice_message(message_id: str, *values: str) -> dict[str, Any] | None:
    """values: of options of one question. None: they are none of Salesforce's; send their label as text."""
    found = [carried(each) for each in values]
    asked = {each for each, _ in found}
    if len(asked) != 1 or asked == {""}:
        return None
    selected = [{"optionIdentifier": name} for _, name in found]
    answer = {"formatType": "Selections", "selectedOptions": selected}
    return _message(message_id, "ChoicesResponseMessage", asked.pop(), choicesResponse=answer)


def form_message(message_id: str, values: Mapping[str, str]) -> dict[str, Any] | None:
    """values: by names of fields. None: no form of Salesforce's. The shape of the answer is a guess (reference 2.5)."""
    found = [(carried(name), value) for name, value in values.items()]
    asked = {message for (message, _), _ in found}
    if len(asked) != 1 or asked == {""}:
        return None
    inputs = [{"id": name, "value": value} for (_, name), value in found]
    answer = {"formatType": "Inputs", "inputs": inputs}
    return _message(message_id, "FormResponseMessage", asked.pop(), formResponse=answer)


def file_message(message_id: str, file_id: str, text: str = "") -> dict[str, Any]:
    """For `OrgClient.send_file`. Both ids are fixed for all attempts."""
    return {"id": message_id, "fileId": file_id, "text": text}


def _message(message_id: str, kind: str, in_reply_to: str, **content: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"id": message_id, "messageType": kind, **content}
    return given | ({"inReplyToMessageId": in_reply_to} if in_reply_to else {})


def pieces(text: str, longest: int = LONGEST) -> list[str]:
    """A long text in parts, between lines or words where it can be. Joined they are the text but for such gaps.

    longest: UTF-16 units, as other languages count: an emoji is two.
    """
    found: list[str] = []
    while (fits := _fitting(text, longest)) < len(text):
        cut = max(text.rfind("\n", 1, fits + 1), text.rfind(" ", 1, fits + 1))
        cut = cut if cut > fits // 2 else fits
        found.append(text[:cut])
        text = text[cut:].lstrip(" \n") if cut != fits else text[cut:]
    return [*found, text] if text or not found else found


def _fitting(text: str, longest: int) -> int:
    """How many characters, at least one."""
    if 2 * len(text) <= longest:
        return len(text)
    units = 0
    for at, each in enumerate(text):
        units += 1 + (each > "\uffff")
        if units > longest:
            return max(1, at)
    return len(text)


def as_text(part: Content) -> str:
    """Ours for an agent's eyes: what a bot showed before, in words. Empty for what nobody sees."""
    match part:
        case Text(text=text):
            return text
        case Choices(text=text, options=options) | Select(text=text, options=options):
            return _joined(text, _numbered(options))
        case DatePick(text=text):
            return text
        case Form(text=text, fields=fields):
            return _joined(text, "\n".join(f"- {each.label}" for each in fields))
        case Card(title=title, body=body, image_url=image_url, options=options):
            return _joined(title, body, image_url or "", _numbered(options))
        case Carousel(cards=cards):
            return "\n\n".join(as_text(each) for each in cards)
        case Image(url=url, title=title) | File(url=url, title=title) | Link(url=url, title=title):
            return _joined(title, url)
        case Custom():
            return ""


def _numbered(options: tuple[Option, ...]) -> str:
    return "\n".join(f"{n}. {each.label}" + (f" ({each.url})" if each.url else "") for n, each in enumerate(options, 1))


def _joined(*parts: str) -> str:
    return "\n".join(each for each in parts if each)
