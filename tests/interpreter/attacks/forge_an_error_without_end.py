# property: an error that a block forges is no longer than a real one
# expect: len(seen.error or "") <= 400 and len(seen.traceback or "") <= 10_000
# off: protocol
# works: len(seen.error["message"]) == 200_000
# after: own
import json
import os
import struct
import time

error = {"type": "Error", "message": "x" * 200_000, "line": 1, "trace": "x" * 200_000}
body = json.dumps({"done": 2, "error": error, "bindings": [], "written": [], "shadowed": []}).encode()
data = struct.pack(">I", len(body)) + body
while data:
    data = data[os.write(3, data) :]
time.sleep(0.05)
