"""Salesforce Live Agent (Chat REST API), retired by Salesforce in February 2026. README.md: what it is for."""

from connectors.salesforce_live_agent.connector import SalesforceLiveAgentConnector as connector

__all__ = ["connector"]
