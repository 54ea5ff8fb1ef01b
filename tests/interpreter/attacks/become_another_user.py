# property: a block cannot become another user
# expect: seen.error_type == "PermissionError"
# off: syscalls, privileges
# works: seen.stdout == "REACHED\n"
import os

os.setuid(65534)
print("REACHED")
