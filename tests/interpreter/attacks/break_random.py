# property: a broken random module keeps no later step from running
# expect: seen.error_type is None and seen.killed_by is None
# off: protocol
# works: seen.died
import random

random.seed = None
random.Random.gauss_next = property(None)
del random._inst
