# property: an error whose __class__ raises is reported like any other
# expect: seen.error == "x" and seen.killed_by is None
# off: process
# works: seen.died
class Bad(ValueError):
    @property
    def __class__(self):
        raise KeyError


raise Bad("x")
