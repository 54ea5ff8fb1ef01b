# property: bytes that are no text are no message
# expect: seen.killed_by == "protocol"
# off: protocol
# works: seen.died
import os
import time

os.write(3, b"\0\0\0\x04\xff\xfe\xff\xfe")
time.sleep(0.5)
