# property: the repr of the last expression has no more time than the block
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
class Slow:
    def __repr__(self):
        while True:
            pass


slow = Slow()
slow
