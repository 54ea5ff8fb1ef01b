# property: a type's name of the block's own kind of text is read without its methods
# expect: seen.error == "x" and seen.killed_by is None
# off: process
# works: seen.died
class Trap(str):
    def __getitem__(self, place):
        raise KeyError

    def __hash__(self):
        raise KeyError

    def __eq__(self, other):
        raise KeyError

    def encode(self, *how):
        raise KeyError


class Bad(ValueError):
    pass


Bad.__name__ = Trap("Bad")
raise Bad("x")
