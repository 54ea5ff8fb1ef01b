# property: no name of a machine can be looked up
# expect: seen.error_type is not None
# off: syscalls, files
# works: "127.0.0.1" in seen.stdout or "::1" in seen.stdout
import socket

print(socket.getaddrinfo("localhost", 80))
