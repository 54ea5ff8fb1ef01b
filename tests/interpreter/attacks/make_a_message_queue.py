# property: no queue of the kernel that outlives the process can be made
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes

libc = ctypes.CDLL(None)
queue = libc.msgget(0, 0o1600)
libc.msgctl(queue, 0, None)
print(queue)
