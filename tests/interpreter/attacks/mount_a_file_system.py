# property: nothing can be mounted
# expect: seen.stdout == "-1\n"
# off: syscalls, files, privileges
# works: seen.stdout == "0\n"
import ctypes

libc = ctypes.CDLL(None)
done = libc.mount(b"none", b"{DIR}", b"tmpfs", 0, None)
if done == 0:
    libc.umount(b"{DIR}")
print(done)
