"""Rasa 3.6.21 and a trained bot: found, or made once, in `.venv-rasa` and `var/rasa_bot`.

Rasa 3.6 needs Python 3.10 and old releases of much that we use, so it lives in an environment of its own.
Installing takes about three minutes and 2.7 GB, training half a minute; both are done again only when the
files they were made from have changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "tests" / "rasa_bot"
VENV, BOT = ROOT / ".venv-rasa", ROOT / "var" / "rasa_bot"
CONSTRAINTS = SOURCE / "constraints-py310.txt"
MODEL = Path("models") / "testbot.tar.gz"
PACKAGES = ("rasa==3.6.21", "rasa-sdk==3.6.2")

QUIET = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""No usage reports, no noise."""


class NotThere(Exception):
    """Something has to be installed first; the message says what."""


@dataclass(frozen=True)
class Environment:
    """rasa: the command. bot: folder with the bot's files and its trained model."""

    rasa: Path
    bot: Path

    @property
    def knows_our_actions(self) -> bool:
        """Whether the bot lists the actions that come with the connector."""
        return "action_omnibridge_set_fields" in (self.bot / "domain.yml").read_text("utf-8")


def find(rasa: Path | None, bot: Path | None) -> Environment:
    """What the options name; what they leave out is made. Raises NotThere, CalledProcessError."""
    if rasa is None:
        rasa = _install() / "bin" / "rasa"
    if not rasa.exists():
        raise NotThere(f"there is no {rasa}: --rasa names the `rasa` command of an environment with {PACKAGES[0]}")
    rasa = rasa.absolute()
    if bot is None:
        bot = _train(rasa)
    if not (bot / MODEL).exists():
        raise NotThere(f"there is no {bot / MODEL}: train it with `{rasa} train --fixed-model-name testbot`")
    return Environment(rasa, bot.resolve())


def python310(wanted: str) -> str:
    """A Python 3.10 that really runs: a shim of pyenv may be on the path and lead to nothing."""
    candidates = [wanted]
    pyenv = shutil.which("pyenv")
    if pyenv:
        found = subprocess.run([pyenv, "prefix", "3.10"], capture_output=True, text=True, check=False)
        candidates.append(f"{found.stdout.strip()}/bin/python3.10")
    ask = "import sys, ensurepip, venv; print(sys.version_info[:2] == (3, 10))"
    for each in candidates:
        if shutil.which(each):
            answer = subprocess.run([each, "-c", ask], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == "True":
                return each
    raise NotThere(
        f"Rasa 3.6 needs Python 3.10 with venv, and {wanted} is none. Install it (`pyenv install 3.10`, or your"
        " distribution's python3.10 and python3.10-venv), then: make test-rasa PYTHON310=/path/to/python3.10"
    )


def _install() -> Path:
    stamp, wanted = VENV / ".installed", _digest([CONSTRAINTS], *PACKAGES)
    if _is(stamp, wanted):
        return VENV
    python = python310(os.environ.get("PYTHON310", "python3.10"))
    print(f"Installing {' and '.join(PACKAGES)} into {VENV.name}, once: about three minutes, 2.7 GB ...", flush=True)
    subprocess.run([python, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "-c", str(CONSTRAINTS), "wheel", "setuptools", *PACKAGES], check=True)
    stamp.write_text(wanted)
    return VENV


def _train(rasa: Path) -> Path:
    sources = sorted(path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    stamp, wanted = BOT / ".trained", _digest(sources)
    if _is(stamp, wanted) and (BOT / MODEL).exists():
        return BOT
    print(f"Training the test bot in {BOT.relative_to(ROOT)}, without the network ...", flush=True)
    shutil.copytree(SOURCE, BOT, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = [str(rasa), "train", "--fixed-model-name", "testbot", "--quiet"]
    subprocess.run(command, cwd=BOT, env={**os.environ, **QUIET}, check=True)
    stamp.write_text(wanted)
    return BOT


def _is(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted


def _digest(paths: list[Path], *words: str) -> str:
    found = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
