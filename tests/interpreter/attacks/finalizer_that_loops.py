# property: a finalizer that never returns is ended, whenever its object goes
# expect: seen.killed_by == (None if mode in ("persistent", "ttl:2") else "time")
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
class Staying:
    def __del__(self):
        while True:
            pass


staying = Staying()
