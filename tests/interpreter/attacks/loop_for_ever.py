# property: a loop without end is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
while True:
    pass
