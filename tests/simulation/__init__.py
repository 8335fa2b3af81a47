"""The engine in one process and virtual time: seeded histories, crashes between any two steps, invariants."""
