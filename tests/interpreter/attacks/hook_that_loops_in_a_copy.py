# property: a copy that never comes to wait costs the next step no time
# expect: seen.killed_by is None and after.seconds < 0.5
# off: protocol
# works: seen.hung
import os


def forever():
    while True:
        pass


os.register_at_fork(after_in_child=forever)
