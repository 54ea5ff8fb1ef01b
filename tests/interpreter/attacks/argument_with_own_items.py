# property: a dictionary of the block's own kind is read before it leaves the block
# expect: seen.error_type is not None and world.taken == [] and seen.killed_by is None
# off: process
# works: seen.died
class Trap(dict):
    def items(self):
        raise ValueError("trap")

    def __repr__(self):
        return "{}"


take_item(Trap(a=1))
