"""Dialogflow ES and CX, over Google's async gRPC clients."""

from connectors.dialogflow.connector import DialogflowConnector as connector

__all__ = ["connector"]
