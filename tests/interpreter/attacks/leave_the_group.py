# property: a block cannot put its process into another group
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import os

os.setpgid(0, os.getpgid(os.getppid()))
print("REACHED")
