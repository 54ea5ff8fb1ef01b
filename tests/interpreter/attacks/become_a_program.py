# property: a process cannot become another program
# expect: seen.error_type == "PermissionError"
# off: syscalls, files
# works: "REACHED" in seen.stdout
import os

os.execv("/bin/echo", ["echo", "REACHED"])
