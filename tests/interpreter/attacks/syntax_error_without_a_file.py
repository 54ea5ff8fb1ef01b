# property: a SyntaxError whose attributes raise is reported like any other
# expect: seen.error_type == "Bad" and seen.killed_by is None
# off: process
# works: seen.died
class Bad(SyntaxError):
    @property
    def filename(self):
        raise KeyError

    lineno = filename


raise Bad("x")
