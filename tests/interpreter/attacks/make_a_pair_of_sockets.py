# property: no pair of sockets can be made
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import socket

socket.socketpair()
print("REACHED")
