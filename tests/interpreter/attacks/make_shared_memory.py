# property: no memory that outlives the process can be made
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes

libc = ctypes.CDLL(None)
segment = libc.shmget(0, 4096, 0o1600)
libc.shmctl(segment, 0, None)  # where it could be made, it goes again
print(segment)
