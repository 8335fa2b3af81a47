"""The livechat widget as visitors have it, in a real browser, against the simulated hub and this bridge."""
