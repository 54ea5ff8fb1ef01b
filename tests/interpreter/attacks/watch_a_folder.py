# property: no folder can be watched
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes

print(ctypes.CDLL(None).inotify_init())
