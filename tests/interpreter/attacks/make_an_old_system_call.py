# property: a system call in the spelling of another machine type ends the process
# expect: seen.killed_by is not None and seen.killed_by.startswith("signal")
# off: syscalls
# works: seen.stdout == "REACHED\n" or place.machine != "x86_64"
import ctypes
import mmap

code = bytes.fromhex("b814000000cd80c3")  # getpid as 32-bit programs call it
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
print("REACHED")
