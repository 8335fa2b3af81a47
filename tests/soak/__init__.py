"""The crash test: real processes, `kill -9` at named points, a verdict from the simulators' ledgers."""
