# property: a block cannot stop its process
# expect: seen.stdout == "REACHED\n" or seen.error_type == "PermissionError"
# off: syscalls
# works: seen.killed_by == "time"
# limits: wall_seconds=0.4
import signal

signal.raise_signal(signal.SIGSTOP)
print("REACHED")
