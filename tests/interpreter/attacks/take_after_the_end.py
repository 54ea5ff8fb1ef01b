# property: nothing is taken after the task was finished
# expect: seen.error_type == "RuntimeError" and "finished" in seen.error and world.taken == []
# off: process
# works: len(seen.taken) == 1
import json

item = json.loads(list_items())[0]
inspect(item)
finish()
if hasattr(inspect, "__self__"):
    inspect.__self__.done = False
take_item(item)
