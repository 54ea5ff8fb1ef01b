# property: no server can be opened
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import socket

socket.create_server(("127.0.0.1", 0))
print("REACHED")
