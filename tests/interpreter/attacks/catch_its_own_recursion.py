# property: a recursion that goes on after each RecursionError is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
def down():
    try:
        down()
    except RecursionError:
        down()


down()
