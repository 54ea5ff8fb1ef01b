# property: the end of another step ends this one
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.score == 1
import json
import os
import struct
import time

done = {"done": 3, "error": None, "bindings": [], "written": [], "shadowed": [], "score": 1}
body = json.dumps(done).encode()
os.write(3, struct.pack(">I", len(body)) + body)
time.sleep(0.5)
