# property: names of the block's own kind of text are no bindings and run no code
# expect: seen.killed_by is None and "x" in seen.written
# off: process
# works: seen.died
class Trap(str):
    __hash__ = str.__hash__

    def startswith(self, *what):
        raise KeyError

    def __eq__(self, other):
        return self is other


globals()[Trap("name")] = 1
x = 2
