# property: the one socket a block has cannot be turned to another end
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.error_type != "PermissionError"
import os
import socket

socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=os.dup(3)).connect("{UNIX}")
