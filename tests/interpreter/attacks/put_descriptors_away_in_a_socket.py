# property: no descriptor can be sent into a socket, where it counts against what all children may send
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import socket

ours, theirs = socket.socketpair()
for _ in range(2):
    socket.send_fds(ours, [b"x"], [0] * 100)
print("REACHED")
