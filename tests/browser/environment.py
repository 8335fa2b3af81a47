"""What the plays need besides omnibridge: Debian's chromium and npm, the widget, playwright in its own venv."""

from __future__ import annotations

from pathlib import Path

from tests.fetched import fetch_npm, fetch_python, tool

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INSTALL = "apt-get install chromium npm"


def prepare() -> tuple[Path, Path, str]:
    """(Python with playwright, folder of the widget's build, chromium). Raises Missing."""
    chromium = tool("chromium", INSTALL)
    tool("npm", INSTALL)
    modules = fetch_npm(HERE)
    python = fetch_python(ROOT / ".venv-browser", HERE / "requirements.txt")
    return python, modules / "@rocket.chat/livechat/build", chromium
