# property: the memory around a block's own objects holds no text of the world's module
# expect: seen.stdout == "False\n"
# off: process
# works: seen.stdout == "True\n"
import ctypes
import gc
import os
import re

# Pages are read with write(2), which refuses an address where nothing is instead of crashing.
libc, (end, start) = ctypes.CDLL(None), os.pipe()
found = None
for page in {id(o) >> 14 for o in gc.get_objects()}:
    size = libc.write(start, ctypes.c_void_p(page << 14), ctypes.c_size_t(1 << 14))
    found = found or (size > 0 and re.search(b"was [n]ever inspected", os.read(end, size)))
    if found:
        break
print(bool(found))
