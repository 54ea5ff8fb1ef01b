# property: an error whose text never comes is ended with its block
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
class Slow(Exception):
    def __str__(self):
        while True:
            pass


raise Slow
