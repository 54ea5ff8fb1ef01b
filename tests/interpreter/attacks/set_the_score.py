# property: what was taken cannot be set
# expect: seen.error_type == "AttributeError" and world.taken == []
# off: process
# works: seen.score == 1
world = inspect.__self__
ids = list(world._items)
sets = [[i for n, i in enumerate(ids) if bits >> n & 1] for bits in range(1 << len(ids))]
value = lambda ids: sum(world._items[i]["value"] for i in ids)
world.taken[:] = next(ids for ids in sets if value(ids) == world._optimum)
