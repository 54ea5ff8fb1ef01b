# property: nothing can be sent out of band, which has been a way into kernels
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.error_type != "PermissionError"
import socket

ours, theirs = socket.socketpair()
ours.send(b"x", socket.MSG_OOB)
