# property: no capability of root is left
# expect: seen.stdout == "False\n"
# off: privileges
# works: seen.stdout == "True\n"
import ctypes
import struct

held = ctypes.create_string_buffer(24)
ctypes.CDLL(None).capget(struct.pack("Ii", 0x20080522, 0), held)
print(any(held.raw))
