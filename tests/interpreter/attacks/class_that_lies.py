# property: an error that claims to be a SyntaxError is reported by what it is
# expect: seen.error == "x" and seen.error_type == "Bad" and seen.killed_by is None
# off: process
# works: seen.died
class Bad(ValueError):
    __class__ = SyntaxError


raise Bad("x")
