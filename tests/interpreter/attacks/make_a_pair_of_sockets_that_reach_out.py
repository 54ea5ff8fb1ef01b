# property: no pair of sockets can be made but of streams, which have no way to a third
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import socket

socket.socketpair(type=socket.SOCK_DGRAM)
print("REACHED")
