# property: arithmetic that was broken in memory is broken for its own process only
# expect: (after.stdout == "43\n") == (mode != "reset")
# off: process
# works: after.stdout == "43\n"
# after: own
import ctypes

ctypes.c_int.from_address(id(42) + 24).value = 43
