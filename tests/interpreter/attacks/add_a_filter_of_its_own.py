# property: no filter of system calls can be added, nor a listener taken
# expect: seen.stdout == "-1 1\n"
# off: syscalls
# works: seen.stdout == "-1 14\n"
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
SECCOMP = {"x86_64": 317, "aarch64": 277}[__import__("os").uname().machine]
print(libc.syscall(SECCOMP, 1, 0, 0), ctypes.get_errno())
