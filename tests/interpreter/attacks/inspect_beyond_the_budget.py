# property: no more items are inspected than the budget allows
# expect: seen.error_type == "RuntimeError" and "budget" in seen.error and len(world.inspected) == world.budget
# off: process
# works: seen.error_type is None
# limits: tool_calls=40
import json

if hasattr(inspect, "__self__"):
    inspect.__self__.budget = 10**9
for item in json.loads(list_items()):
    inspect(item)
