# property: no more is taken than the capacity holds
# expect: world.weight <= world.capacity and "does not fit" in seen.stdout
# off: process
# works: "does not fit" not in seen.stdout
# limits: tool_calls=40
import json

if hasattr(inspect, "__self__"):
    inspect.__self__.capacity = 10**9
for item in json.loads(list_items())[:8]:
    inspect(item)
    try:
        take_item(item)
    except Exception as refusal:
        print(refusal)
