# property: arguments that are no list end the step
# expect: seen.killed_by == "protocol" and seen.tool_calls == ()
# off: protocol
# works: seen.died
import json
import os
import struct
import time

body = json.dumps({"call": "inspect", "args": 5}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
time.sleep(0.5)
