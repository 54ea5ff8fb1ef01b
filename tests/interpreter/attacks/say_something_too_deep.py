# property: a message too deep to be read ends the step
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.died
import os
import time

for part in ((100_000).to_bytes(4, "big"), b"[" * 100_000):
    os.write(3, part)
time.sleep(0.5)
