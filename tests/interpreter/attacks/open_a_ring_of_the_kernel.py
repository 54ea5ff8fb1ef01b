# property: no ring for system calls past the filter can be opened
# expect: seen.stdout == "-1\n"
# off: syscalls, limits
# works: seen.stdout != "-1\n"
import ctypes

print(ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)))  # io_uring_setup
