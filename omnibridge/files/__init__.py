"""Files both ways: links by which bots fetch what visitors send, and what bots send into rooms."""
