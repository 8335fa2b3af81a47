"""A module of actions that fails when it is imported."""

raise RuntimeError("broken on purpose")
