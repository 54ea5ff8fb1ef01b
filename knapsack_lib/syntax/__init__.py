"""Which names a block of Python needs and binds, read from its syntax (names.py)."""
