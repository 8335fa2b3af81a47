"""Rasa, Open Source 3.x and Pro, over its REST channel."""

from connectors.rasa.connector import RasaConnector as connector

__all__ = ["connector"]
