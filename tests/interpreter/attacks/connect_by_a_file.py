# property: no socket in the file system can be reached
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.connected
import socket

socket.socket(socket.AF_UNIX).connect("{UNIX}")
