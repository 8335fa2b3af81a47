"""Connectors: one folder per vendor, reached only through entry points. See README.md on adding one."""
