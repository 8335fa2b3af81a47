"""Connectors that look at conversations and say nothing in them."""
