# property: a copy cannot pass for another process, which would then be killed in its place
# expect: seen.killed_by is None and place.alive
# off: privileges
# works: place.killed
# after: own
import builtins
import os
import socket
import struct


def pretend():
    for fd in range(4, 8):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=os.dup(fd)) as place:
                message = b"\0\0\0\x0e" + b'{"ready":true}'
                place.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", {PID}, 0, 0))])
        except OSError:
            pass
    builtins.print = lambda *words: os._exit(0)


os.register_at_fork(before=pretend)
