# property: what is no tool cannot be called by its name
# expect: seen.killed_by == "protocol" and world.taken == []
# off: protocol
# works: seen.optimal_value == 10
import json
import os
import struct
import time

body = json.dumps({"call": "__setattr__", "args": ["_optimum", 10]}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
os.read(3, 99)
body = b'{"done":2}'
os.write(3, struct.pack(">I", len(body)) + body)
time.sleep(0.5)
