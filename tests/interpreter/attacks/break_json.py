# property: a broken json module changes no report and no call
# expect: seen.error_type is None and len(seen.tool_calls) == 1 and seen.killed_by is None
# off: process
# works: seen.score == 1
import json

json.dumps = json.loads = lambda *a, **k: '{"score": 1}'
json.JSONEncoder = json.JSONDecoder = json.encoder = json.decoder = None
list_items();
