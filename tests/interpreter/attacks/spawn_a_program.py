# property: posix_spawn starts nothing
# expect: seen.error_type == "PermissionError"
# off: syscalls, files
# works: "REACHED" in seen.stdout
import os

pid = os.posix_spawn("/bin/echo", ["echo", "REACHED"], {})
os.waitpid(pid, 0)
