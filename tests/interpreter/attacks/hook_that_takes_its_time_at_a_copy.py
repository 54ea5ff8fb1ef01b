# property: a hook that takes longer than a step when the state is copied holds up its own episode only
# expect: seen.killed_by is None and after.killed_by in (None, "time", "cpu")
# off: protocol
# works: seen.hung
# after: own
# limits: wall_seconds=0.4
import os
import time

os.register_at_fork(before=lambda: time.sleep(0.7))
