"""The limit of open files: taken to what is allowed, and told when that is little."""

from __future__ import annotations

import resource
import socket

import pytest

from omnibridge import open_files
from omnibridge.doctor import local


@pytest.mark.parametrize(
    ("soft", "hard", "after"),
    [
        (1024, 524_288, open_files.WANTED),
        (1024, 4096, 4096),
        (100_000, 200_000, 100_000),
        (1024, resource.RLIM_INFINITY, open_files.WANTED),
    ],
)
def test_what_is_allowed_is_taken(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, after: int) -> None:
    now = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: now.__setitem__(0, wanted))

    assert open_files.allow_many() == after
    assert now[0][1] == hard


@pytest.mark.parametrize(("hard", "status"), [(4096, "warning"), (524_288, "ok")])
def test_doctor_warns_of_a_low_limit(monkeypatch: pytest.MonkeyPatch, hard: int, status: str) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    found = local.files()

    assert found.status == status and str(hard) in found.found
    assert ("LimitNOFILE" in found.do) == (status == "warning")


def test_open_files_are_counted() -> None:
    before = open_files.n_open()
    with socket.socket():
        assert open_files.n_open() == before + 1
