# property: calls whose answers nobody reads are counted like others
# expect: seen.killed_by == "tool calls" and len(seen.tool_calls) == 16
# off: protocol
# works: seen.hung
import json
import os
import struct

body = json.dumps({"call": "list_items", "args": []}).encode()
for _ in range(5000):
    os.write(3, struct.pack(">I", len(body)) + body)
