# property: the C library holds no variable of the host either
# expect: seen.stdout == "None\n"
# off: process
# works: "marked-" in seen.stdout
import ctypes

getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
print(getenv(b"KNAPSACK_MARK"))
