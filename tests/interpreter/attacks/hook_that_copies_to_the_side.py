# property: the permission for the copy of the state makes no process that is another's child
# expect: seen.killed_by is None
# off: syscalls
# works: after.stdout == "REACHED\n"
import builtins
import ctypes
import os


def copy(os=os, builtins=builtins, call=ctypes.CDLL(None).syscall):
    number = 56 if os.uname().machine == "x86_64" else 220
    made = call(number, 0x8000 | 17, 0, 0, 0, 0)  # CLONE_PARENT and SIGCHLD
    if made == 0:
        os._exit(0)
    if made > 0:
        builtins.print = lambda *words: os.write(1, b"REACHED\n") and None


os.register_at_fork(before=copy)
