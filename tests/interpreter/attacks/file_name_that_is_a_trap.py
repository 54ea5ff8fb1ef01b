# property: code whose file name is of the block's own kind of text is reported when it fails
# expect: seen.error_type == "ZeroDivisionError" and seen.killed_by is None
# off: process
# works: seen.died
class Trap(str):
    def __hash__(self):
        raise KeyError

    def __eq__(self, other):
        raise KeyError


exec(compile("1 / 0", "x", "exec").replace(co_filename=Trap("x")))
