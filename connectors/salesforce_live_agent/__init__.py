"""Salesforce Live Agent (Chat REST API), which Salesforce retired in February 2026. README.md: what is not yet."""
