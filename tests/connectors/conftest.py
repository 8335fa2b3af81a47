"""A connector's tests go with it: a folder without its connector is not collected."""

from importlib.util import find_spec
from pathlib import Path

collect_ignore = [
    each.name
    for each in Path(__file__).parent.iterdir()
    if each.is_dir() and (each / "__init__.py").exists() and find_spec(f"connectors.{each.name}") is None
]
