# property: a call with the wrong number of arguments is refused and recorded
# expect: seen.error_type == "TypeError" and len(seen.tool_calls) == 1
# off: protocol
# works: seen.died
import json
import os
import struct
import time

body = json.dumps({"call": "list_items", "args": [1, 2]}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
size = struct.unpack(">I", os.read(3, 4))[0]
raise TypeError(os.read(3, size))
