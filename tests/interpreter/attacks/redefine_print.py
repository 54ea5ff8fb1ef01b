# property: a redefined print is gone where functions do not survive
# expect: seen.error_type is None and (after.stdout == "42\n") == (mode in ("reset", "data"))
# off: process
# works: after.stdout == ""
# after: own
print = lambda *words: None
