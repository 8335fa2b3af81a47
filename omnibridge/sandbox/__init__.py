"""A simulated Rocket.Chat over real sockets, with the real one's faults and a ledger of its own."""
