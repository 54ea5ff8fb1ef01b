# property: an item that was never inspected cannot be taken
# expect: seen.error_type == "ValueError" and "never inspected" in seen.error and world.taken == []
# off: process
# works: len(seen.taken) == 1
import json

item = json.loads(list_items())[0]
if hasattr(inspect, "__self__"):
    inspect.__self__.inspected.append(item)
take_item(item)
