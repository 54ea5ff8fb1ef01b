# property: half a message has the time of the step and no more
# expect: seen.killed_by == "time"
# off: protocol
# works: seen.hung
# limits: wall_seconds=0.4
import os
import time

os.write(3, b'\0\0\0\x20{"call":')
time.sleep(60)
