"""External decisions about who serves: asking, and carrying out what `routing/assignment.py` decides."""
