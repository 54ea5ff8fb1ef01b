# property: no file in memory can be made
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import os

os.memfd_create("note")
print("REACHED")
