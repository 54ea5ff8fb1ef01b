# property: no other name space can be entered
# expect: seen.error_type == "PermissionError" or seen.stdout == "-1\n"
# off: syscalls, files, privileges
# works: seen.stdout == "0\n"
import ctypes

with open("/proc/self/ns/net") as space:
    print(ctypes.CDLL(None).setns(space.fileno(), 0))
