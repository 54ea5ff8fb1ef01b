# property: an end that a block forges changes no score
# expect: seen.killed_by in (None, "protocol") and world.result()["score"] == 0 and seen.stdout == ""
# off: protocol
# works: seen.score == 1
# after: own
import json
import os
import struct
import time

done = {"done": 2, "error": None, "bindings": [], "written": [], "shadowed": [], "score": 1, "stdout": "mine"}
body = json.dumps(done).encode()
os.write(3, struct.pack(">I", len(body)) + body)
time.sleep(0.05)
