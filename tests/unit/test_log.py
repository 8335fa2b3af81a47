"""Log lines: where they go."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from omnibridge.log import configure_logging


def test_lines_go_to_stderr_as_it_is_now(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A logger that was first used while stderr was something else, which is closed since."""
    before, other, log = structlog.get_config(), io.StringIO(), structlog.get_logger()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", other)
            configure_logging()
            log.info("first")
        assert "first" in other.getvalue()
        other.close()
        log.info("second", token="x")
    finally:
        structlog.configure(**before)

    line = capsys.readouterr().err
    assert "second" in line and '"token": "***"' in line
