"""Ids of 15 characters -> 18, so that one agent has one id; anything else as it is."""

from __future__ import annotations

from connectors.salesforce.ids import long_or_same

long_id = long_or_same
