# property: no connection can be made
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: place.connected
import socket

socket.create_connection(("127.0.0.1", {PORT}))
