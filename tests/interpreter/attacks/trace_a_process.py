# property: no process can be traced
# expect: seen.stdout == "-1\n"
# off: syscalls, files, privileges
# works: seen.stdout == "0\n"
import ctypes
import os

libc = ctypes.CDLL(None)
traced = libc.ptrace(16, {PID}, None, None)  # PTRACE_ATTACH
if traced == 0:
    os.waitpid({PID}, 0x40000000)
    libc.ptrace(17, {PID}, None, None)
print(traced)
