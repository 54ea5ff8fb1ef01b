# property: a hook that never returns when the state is copied stops its own episode only
# expect: seen.killed_by is None and after.killed_by in (None, "time", "cpu")
# off: protocol
# works: seen.hung
# after: own
# limits: wall_seconds=0.25
import os


def forever():
    while True:
        pass


os.register_at_fork(before=forever)
