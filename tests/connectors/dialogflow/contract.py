"""Settings of a backend that refuses connections, for the contract checks."""

NOBODY_LISTENS = {"url": "grpc://127.0.0.1:9", "project": "nowhere", "welcome": "Welcome"}
