# property: no name space of a block's own can be made
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout == "0\n"
import ctypes

print(ctypes.CDLL(None).unshare(0x10000000))  # CLONE_NEWUSER
