"""Files of a message, as each source shows them: one and the same FileRef."""

from __future__ import annotations

from typing import Any

from omnibridge.domain.files import FileRef
from omnibridge.rocketchat.files import caption_of, files_of, path_of
from omnibridge.rocketchat.rooms import read_message

SHOWN = {"_id": "f1", "name": "cat.png", "type": "image/png"}
WHOLE = FileRef("f1", "cat.png", "image/png", 5)


def test_webhook_rest_and_app_tell_the_same() -> None:
    upload = {"publicFilePath": "https://hub/file-upload/f1/cat.png?token=secret", "type": "image/png", "size": 5}
    thumb = {"_id": "t1", "name": "thumb-cat.png", "type": "image/png", "typeGroup": "thumb"}
    attachment = {"title": "cat.png", "title_link": "/file-upload/f1/cat.png", "image_size": 5}

    assert files_of({"file": SHOWN, "fileUpload": upload}) == (WHOLE,)
    assert files_of({"file": SHOWN, "files": [{**SHOWN, "size": 5, "typeGroup": "image"}, thumb]}) == (WHOLE,)
    assert files_of({"file": SHOWN, "files": [SHOWN], "attachments": [attachment]}) == (WHOLE,)


def test_id_is_read_from_the_address_where_there_is_none() -> None:
    upload = {"publicFilePath": "https://hub/sub/file-upload/f1/a%20cat.png?token=secret", "type": "image/png"}

    assert files_of({"fileUpload": upload}) == (FileRef("f1", "a cat.png", "image/png"),)


def test_nonsense_gives_no_file() -> None:
    broken: list[Any] = [
        {},
        {"file": 7},
        {"file": {"_id": "../x"}},
        {"files": "x"},
        {"fileUpload": {"publicFilePath": 1}},
    ]

    assert [files_of(each) for each in broken] == [()] * 5


def test_two_files_keep_their_order_and_each_is_one() -> None:
    found = files_of({"files": [SHOWN, {"_id": "f2", "name": "b.pdf", "type": "application/pdf"}, SHOWN]})

    assert [each.id for each in found] == ["f1", "f2"]


def test_caption_is_what_was_said() -> None:
    message = {"_id": "m", "msg": "", "file": SHOWN, "attachments": [{"description": "my cat"}]}

    assert caption_of(message) == "my cat"
    assert (read_message(message).text, read_message(message).files) == (
        "my cat",
        (FileRef("f1", "cat.png", "image/png"),),
    )
    assert caption_of({"attachments": [{"description": "no file"}]}) == ""


def test_path_holds_no_way_out() -> None:
    assert path_of(FileRef("f1", "../../x y?.png")) == "/file-upload/f1/x%20y_.png"
