"""What `check_contract` needs."""

NOBODY_LISTENS = {"connection": "nobody"}
