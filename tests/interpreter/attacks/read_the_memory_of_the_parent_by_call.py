# property: no memory of the warm parent can be read by system call
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout == "4\n"
import ctypes
import os

here = ctypes.create_string_buffer(4)
local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 4)
remote = (ctypes.c_size_t * 2)(id(os), 4)  # a copy of the parent has its objects where the parent has them
print(ctypes.CDLL(None).process_vm_readv(os.getppid(), local, 1, remote, 1, 0))
