# property: a callback of the garbage collector that never returns is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import gc


def callback(phase, info):
    while True:
        pass


gc.callbacks.append(callback)
gc.collect()
