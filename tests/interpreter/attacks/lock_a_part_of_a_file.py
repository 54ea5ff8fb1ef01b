# property: no part of a file can be locked either
# expect: seen.error_type in ("PermissionError", "OSError")
# off: syscalls
# works: seen.stdout == "REACHED\n"
import fcntl
import os

fcntl.lockf(open(os.__file__), fcntl.LOCK_SH)
print("REACHED")
