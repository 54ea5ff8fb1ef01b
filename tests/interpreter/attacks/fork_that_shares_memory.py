# property: a copy that shares memory is a copy too
# expect: seen.stdout == "-1\n"
# off: syscalls
# works: seen.stdout != "-1\n"
import ctypes

libc = ctypes.CDLL(None)
CLONE_VM, CLONE_VFORK, SIGCHLD = 0x100, 0x4000, 17
stack = ctypes.create_string_buffer(1 << 16)
leave = ctypes.cast(libc._exit, ctypes.c_void_p)
pid = libc.clone(leave, ctypes.c_void_p(ctypes.addressof(stack) + 65520), CLONE_VM | CLONE_VFORK | SIGCHLD, None)
print(pid)
