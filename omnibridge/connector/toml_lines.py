"""Lines of TOML files that connectors read themselves: a wrong one is refused with the line."""

from omnibridge.config_lines import locate as toml_lines

__all__ = ["toml_lines"]
