# property: no signal can be sent by a descriptor of a process
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.killed
import os
import signal

signal.pidfd_send_signal(os.pidfd_open({PID}), 9)
