# property: names that a block forges are no more and no longer than real ones
# expect: len(seen.bindings) <= 500 and len(seen.written) <= 500
# off: protocol
# works: len(seen.bindings) == 50_000
# after: own
import json
import os
import struct
import time

names = [f"n{number}" for number in range(50_000)]
body = json.dumps({"done": 2, "error": None, "bindings": names, "written": [], "shadowed": []}).encode()
data = struct.pack(">I", len(body)) + body
while data:
    data = data[os.write(3, data) :]
time.sleep(0.05)
