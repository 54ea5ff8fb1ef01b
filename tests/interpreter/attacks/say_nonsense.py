# property: what is no message ends the step
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.died
import os
import time

os.write(3, b"\0\0\0\x08nonsense")
time.sleep(0.5)
