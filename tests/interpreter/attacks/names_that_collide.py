# property: a key that raises whenever print is looked up spoils its own namespace only
# expect: seen.killed_by is None
# off: process
# works: seen.died
# after: own
class Colliding:
    def __hash__(self):
        return hash("print")

    def __eq__(self, other):
        raise KeyError


globals()[Colliding()] = 1
