"""Omni-Channel: who of Salesforce serves a conversation, and who of ours takes what waits in Salesforce."""

from connectors.salesforce_crm.omni.connector import SalesforceOmniConnector as connector

__all__ = ["connector"]
