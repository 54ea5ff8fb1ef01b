# property: an argument's own methods never run where the world is
# expect: world.taken == [] and seen.error_type is not None
# off: process
# works: seen.score > 1
import sys


class Climber:
    def __repr__(self):
        world = sys._getframe(1).f_locals["self"]
        world.taken += world._ids
        return "climbed"


inspect(Climber())
