"""Conversations with a real Rasa server: `make test-rasa`."""
