# property: a block cannot open its process to others, for instance to hand something to the next one
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout == "0\n"
import ctypes

print(ctypes.CDLL(None).prctl(4, 1, 0, 0, 0))  # PR_SET_DUMPABLE
