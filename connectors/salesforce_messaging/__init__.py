"""Salesforce Messaging for In-App and Web (MIAW, "Enhanced Chat"), custom-client API v2: agents who take over."""

from connectors.salesforce_messaging.connector import SalesforceMessagingConnector as connector

__all__ = ["connector"]
