# property: a single long operation in C is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
9 ** (10**9)
