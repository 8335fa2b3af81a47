"""What each side shows of each kind that each bot sends, as readable JSON beside the code that compares it.

`make golden` writes the files anew; read the difference before it is committed.
"""
