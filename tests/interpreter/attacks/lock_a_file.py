# property: no lock that other processes see can be put on a file
# expect: seen.error_type in ("PermissionError", "OSError")
# off: syscalls
# works: seen.stdout == "REACHED\n"
import fcntl
import os

fcntl.flock(open(os.__file__), fcntl.LOCK_EX)
print("REACHED")
