# property: of a long name of an error's type eighty characters are kept
# expect: len(seen.error_type) <= 80 and seen.killed_by is None
# off: process
# works: len(seen.error_type) == 30_000
raise type("X" * 30_000, (ValueError,), {})
