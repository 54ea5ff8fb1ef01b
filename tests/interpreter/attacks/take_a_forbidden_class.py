# property: an item of a forbidden class cannot be taken
# expect: seen.error_type == "PermissionError" and seen.stdout.startswith("PermissionError")
# off: process
# works: seen.error_type is None and len(seen.taken) == len(seen.inspected)
# limits: tool_calls=40
import json

if hasattr(inspect, "__self__"):
    inspect.__self__._allowed, inspect.__self__.capacity = frozenset("ABCDEF"), 10**9
refusals = []
for item in json.loads(list_items())[:6]:
    inspect(item)
    try:
        take_item(item)
    except PermissionError as refusal:
        refusals.append(refusal)
if refusals:
    print(*(type(refusal).__name__ for refusal in refusals))
    raise refusals[0]
