# property: no datagram can be sent
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.connected
import socket

socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", ("127.0.0.1", {UDP}))
