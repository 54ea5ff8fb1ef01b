# property: a key that raises whenever the namespace is entered spoils its own namespace only
# expect: seen.killed_by is None
# off: process
# works: after.stdout != "42\n"
# after: own
class Colliding:
    def __hash__(self):
        return hash("__builtins__")

    def __eq__(self, other):
        raise KeyError


names = globals()
del names["__builtins__"]
names[Colliding()] = 1
