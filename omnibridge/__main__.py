"""`python -m omnibridge` is the command line."""

from omnibridge.cli import main

main()
