# property: a copy that announces a long message costs the host no memory
# expect: seen.killed_by is None and place.memory_taken < 1 << 30
# off: protocol
# works: seen.died or seen.hung
# after: own
import builtins
import os


def promise():
    for fd in range(4, 8):
        try:
            os.write(fd, b"\xff\xff\xff\xffx")
        except OSError:
            pass
    builtins.print = lambda *words: os._exit(0)


os.register_at_fork(before=promise)
