# property: the collector finds no world whose score could be set
# expect: seen.stdout == "[]\n"
# off: process
# works: seen.score > 1
import gc

worlds = [o for o in gc.get_objects() if type(o).__name__ == "KnapsackWorld"]
for world in worlds:
    world._optimum = 1
    world.taken += world._ids
print(worlds)
