"""The companion app and what it talks to, over a real socket."""

from __future__ import annotations

import json
import os
from pathlib import Path

APP = Path(__file__).parent.parent.parent / "deploy" / "rocketchat-app"


def test_the_zip_is_the_app() -> None:
    """What the server reads of it, and nothing else: no source, no package, no test."""
    found = {each.relative_to(os.environ["APP_DIR"]).as_posix() for each in Path(os.environ["APP_DIR"]).rglob("*.*")}
    sources = {each.relative_to(APP).with_suffix(".js").as_posix() for each in (APP / "src").glob("*.ts")}
    manifest = json.loads((APP / "app.json").read_text("utf-8"))

    assert found == {"app.json", manifest["iconFile"], "i18n/en.json", "OmnibridgeApp.js", *sources}
