# property: an end whose parts are of the wrong kind ends the step
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.bindings == {"a": 1}
import json
import os
import struct
import time

body = json.dumps({"done": 2, "error": None, "bindings": {"a": 1}, "written": [5], "shadowed": []}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
time.sleep(0.5)
