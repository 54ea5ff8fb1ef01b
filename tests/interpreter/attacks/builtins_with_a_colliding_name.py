# property: a key among the builtins that raises when it is compared keeps no error from being reported
# expect: seen.error == "x" and seen.killed_by is None
# off: process
# works: seen.died
import builtins


class Colliding:
    def __hash__(self):
        return hash("Bad")

    def __eq__(self, other):
        raise KeyError


class Bad(ValueError):
    pass


vars(builtins)[Colliding()] = 1
raise Bad("x")
