# property: a text of the block's own kind is read without its methods
# expect: seen.error == "text" and seen.killed_by is None
# off: process
# works: seen.died
class Trap(str):
    def __getitem__(self, place):
        raise KeyError


class Bad(Exception):
    def __str__(self):
        return Trap("text")


raise Bad
