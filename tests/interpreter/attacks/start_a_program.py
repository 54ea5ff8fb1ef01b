# property: no program can be started
# expect: seen.error_type == "PermissionError" and "REACHED" not in seen.stdout
# off: syscalls, files
# works: "REACHED" in seen.stdout
import subprocess

subprocess.run(["/bin/echo", "REACHED"])
