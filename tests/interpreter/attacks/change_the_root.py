# property: the root of the file system cannot be changed
# expect: seen.error_type == "PermissionError"
# off: syscalls, files, privileges
# works: seen.stdout == "REACHED\n"
import os

os.chroot("{DIR}")
print("REACHED")
