"""The realtime side of the simulated hub: DDP over WebSocket. Source: rocketchat-api 8, sandbox-conformance 1-3."""
