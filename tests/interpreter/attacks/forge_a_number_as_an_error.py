# property: an end whose error is a number ends the step
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.error == 5
import json
import os
import struct
import time

body = json.dumps({"done": 2, "error": 5, "bindings": [], "written": [], "shadowed": []}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
time.sleep(0.5)
