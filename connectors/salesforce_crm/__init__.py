"""Salesforce's records: finds the person, keeps case, transcript and files, and tells what it knows of him."""

from connectors.salesforce_crm.connector import SalesforceCrmConnector as connector

__all__ = ["connector"]
