# property: of a long message three hundred characters are kept
# expect: len(seen.error) <= 300 and seen.killed_by is None
# off: process
# works: len(seen.error) == 10**6
raise ValueError("x" * 10**6)
