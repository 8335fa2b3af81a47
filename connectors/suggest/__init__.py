"""What a configured bot would say, for the people who are talking with the visitor."""

from connectors.suggest.connector import SuggestConnector as connector

__all__ = ["connector"]
