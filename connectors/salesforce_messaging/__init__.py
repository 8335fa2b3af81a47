"""Salesforce Messaging for In-App and Web (MIAW, "Enhanced Chat"), custom-client API v2. README.md: what is not yet."""
