"""Names from outside become safe ones; what a side takes is decided by size, type and count."""

from __future__ import annotations

import pytest

from omnibridge.domain.files import LONGEST_NAME, FilePolicy, plain_name, shown_size


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a\r\nSet-Cookie: x=1.txt", "a_Set-Cookie_ x=1.txt"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ('she said "hi".txt', "she said _hi_.txt"),
        ("..", "file"),
        ("", "file"),
        ("\x00\x1b[31m", "[31m"),
        ("übersicht 😀.png", "übersicht 😀.png"),
        ("half \ud83d.png", "half _.png"),
    ],
)
def test_hostile_names_become_plain_ones(given: str, kept: str) -> None:
    assert plain_name(given) == kept


def test_long_name_keeps_its_extension() -> None:
    found = plain_name("x" * 300 + ".pdf")

    assert len(found) == LONGEST_NAME
    assert found.endswith("x.pdf")


def test_policy_refuses_by_size_and_type() -> None:
    policy = FilePolicy(("image/*", ".PDF", "text/plain"), 1000)

    assert policy.refusal("a.png", "image/png", 1000) == ""
    assert policy.refusal("a.png", "image/png", 1001) == "size"
    assert policy.refusal("A.pdf", "", 5) == ""
    assert policy.refusal("a.txt", "text/plain; charset=utf-8", 5) == ""
    assert policy.refusal("a.exe", "application/x-msdownload", 5) == "type"
    assert policy.refusal("imagexpng", "imagex/png", 5) == "type"
    assert FilePolicy().refusal("a.exe", "", 1 << 40) == ""


def test_two_policies_give_what_both_take() -> None:
    assert FilePolicy(("image/*",), 10, 3).and_also(FilePolicy((), 5, 0)) == FilePolicy(("image/*",), 5, 3)
    both = FilePolicy(("image/*", ".pdf")).and_also(FilePolicy(("image/png", "text/plain", ".pdf")))
    assert set(both.types) == {"image/png", ".pdf"}
    assert FilePolicy(("image/*",)).and_also(FilePolicy(("text/plain",))).refusal("a", "image/png", 1) == "type"


def test_sizes_are_shown_for_people() -> None:
    assert [shown_size(each) for each in (900, 1 << 10, 20 << 20, 3 << 29)] == ["900 bytes", "1 KB", "20 MB", "1.5 GB"]
