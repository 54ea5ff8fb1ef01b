# property: the kernel's own sockets cannot be opened
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import socket

socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
print("REACHED")
