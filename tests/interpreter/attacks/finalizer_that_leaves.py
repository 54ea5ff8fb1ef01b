# property: a finalizer that ends the process is an observation, whenever its object goes
# expect: seen.killed_by == (None if mode in ("persistent", "ttl:2") else "exit")
# off: process
# works: seen.died
import os


class Leaving:
    def __del__(self, leave=os._exit):
        leave(0)


leaving = Leaving()
