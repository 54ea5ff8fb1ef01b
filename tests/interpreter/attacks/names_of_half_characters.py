# property: a name that no file could hold becomes one that it can
# expect: "?" in seen.written and seen.killed_by is None
# off: process
# works: seen.died
globals()["\udc00"] = 1
