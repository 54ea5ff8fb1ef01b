# property: a block cannot have its process outlive the parent
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout == "0\n"
import ctypes

print(ctypes.CDLL(None).prctl(1, 0, 0, 0, 0))  # PR_SET_PDEATHSIG
