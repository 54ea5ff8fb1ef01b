# property: the modules that run a block are in no list that it sees
# expect: seen.stdout == "[]\n"
# off: process
# works: "knapsack" in seen.stdout
import gc
import sys

modules = [o for o in gc.get_objects() if type(o) is type(sys)]
print([module.__name__ for module in modules if "knapsack" in module.__name__])
