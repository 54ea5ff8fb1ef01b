# property: whoever says more after the end ends the step
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.score == 1
import json
import os
import struct
import time

done = {"done": 2, "error": None, "bindings": [], "written": [], "shadowed": [], "score": 1}
body = json.dumps(done).encode()
os.write(3, (struct.pack(">I", len(body)) + body) * 2)
time.sleep(0.5)
