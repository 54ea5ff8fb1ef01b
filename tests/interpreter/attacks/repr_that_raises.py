# property: a repr that raises is an error of the block
# expect: seen.error_type == "ZeroDivisionError" and seen.line == 7
# off: process
# works: seen.died
class Bad:
    def __repr__(self):
        return str(1 / 0)


bad = Bad()
bad
