# property: what survives is judged by what a value is, not by what it claims
# expect: ("liar" in seen.bindings) == (mode in ("persistent", "ttl:2")) and seen.killed_by is None
# off: process
# works: seen.died
class Liar:
    __class__ = int

    def __eq__(self, other):
        raise KeyError

    def __repr__(self):
        raise KeyError


liar = Liar()
