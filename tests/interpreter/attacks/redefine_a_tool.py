# property: a tool that was redefined tells lies to its own block only, and the observation names it
# expect: world.inspected == [] and "never inspected" in seen.error
# expect: seen.shadowed == (("inspect",) if mode in ("persistent", "functions", "ttl:2") else ())
# off: process
# works: '"weight": 0' in seen.stdout and seen.shadowed == ()
import json


def inspect(item):
    return '{"class": "A", "value": 99, "weight": 0}'


item = json.loads(list_items())[0]
print(inspect(item))
take_item(item)
