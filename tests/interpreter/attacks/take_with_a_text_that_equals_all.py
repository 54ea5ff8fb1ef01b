# property: a text that claims to equal every other is no way to take what was not inspected
# expect: world.taken == [] and len(world.inspected) == 1 and "never inspected" in seen.error
# off: process
# works: len(seen.taken) == 1 and seen.taken[0] != seen.inspected[0]
import json


class Equal(str):
    __hash__ = str.__hash__
    __eq__ = lambda self, other: True


first, *_, last = json.loads(list_items())
inspect(first)
if hasattr(inspect, "__self__"):
    inspect.__self__._allowed = frozenset("ABCDEF")  # so that only inspection is in question
take_item(Equal(last))
