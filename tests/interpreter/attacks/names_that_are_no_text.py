# property: keys of the namespace that are no names do not keep a step from being reported
# expect: seen.killed_by is None and seen.error_type is None and "x" in seen.written
# off: process
# works: seen.died
globals()[5] = globals()[None] = globals()[("a", 1)] = 1
x = 2
