# property: no process can be started behind a terminal
# expect: seen.error_type == "PermissionError" or seen.error_type == "OSError"
# off: syscalls, files
# works: "REACHED" in seen.stdout
import os
import pty

pid, terminal = pty.fork()
if pid == 0:
    os.write(1, b"REACHED")
    os._exit(0)
print(os.read(terminal, 99))
