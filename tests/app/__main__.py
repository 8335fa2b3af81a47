"""`make test-app`: the companion app as its zip holds it, in node with accessors of ours; then against a real bridge.

Exit 1: a case failed; 2: a tool is missing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.fetched import Missing, tool

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
APP = ROOT / "deploy" / "rocketchat-app"
INSTALL = "apt-get install nodejs npm"
PATIENCE_S = 300


def main() -> int:
    node = tool("node", INSTALL)
    tool("npm", INSTALL)
    built = subprocess.run([sys.executable, str(APP / "build.py")], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode:
        return built.returncode
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(built.stdout.splitlines()[-1]) as archive:
            archive.extractall(folder)
        environment = {**os.environ, "APP_DIR": folder}
        cases = sorted(str(each) for each in HERE.glob("*.cases.js"))
        in_node = subprocess.run(
            [node, "--test", *cases], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if in_node.returncode:
            print(in_node.stdout, in_node.stderr, sep="\n")
        print("node:", ", ".join(re.findall(r"^\W+((?:pass|fail) \d+)$", in_node.stdout, re.MULTILINE)))
        # Given by name: pytest does not find it by itself, so `make test` needs no node.
        with_bridge = subprocess.run(
            [sys.executable, "-m", "pytest", str(HERE / "with_bridge.py")],
            cwd=ROOT, env=environment, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    return 1 if in_node.returncode or with_bridge.returncode else 0


if __name__ == "__main__":
    try:
        code = main()
    except Missing as exc:
        print(exc, file=sys.stderr)
        code = 2
    sys.exit(code)
