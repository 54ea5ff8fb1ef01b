# property: a message that is announced as too long is not waited for
# expect: seen.killed_by == "protocol" and seen.seconds < 0.5
# off: protocol
# works: seen.hung or seen.died
import os
import time

os.write(3, b"\xff\xff\xff\xff")
time.sleep(0.5)
