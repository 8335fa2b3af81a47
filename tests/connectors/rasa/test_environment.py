"""`make test-rasa` says what to install where there is no Python 3.10."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_rasa import __main__ as run
from tests.real_rasa.environment import NotThere, python310


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only `python3.10` is a shim that leads to nothing."""
    shim = tmp_path / "python3.10"
    shim.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_missing_python_is_named(bare: Path) -> None:
    with pytest.raises(NotThere, match="Install it"):
        python310("python3.10")


def test_missing_rasa_ends_with_two(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["real_rasa", "--rasa", str(bare / "rasa"), "--bot", str(bare)])

    assert run.main() == 2
    assert "--rasa names the `rasa` command" in capsys.readouterr().err
