# property: no signal can be queued for another process
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: place.killed
import ctypes

print(ctypes.CDLL(None).sigqueue({PID}, 9, None))
