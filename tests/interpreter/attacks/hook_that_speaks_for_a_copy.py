# property: a copy that says something too deep to be read is no error of the host
# expect: seen.killed_by is None
# off: protocol
# works: seen.died or seen.hung
# after: own
import builtins
import os


def speak():
    for fd in range(4, 8):
        try:
            os.write(fd, (100_000).to_bytes(4, "big") + b"[" * 100_000)
        except OSError:
            pass
    builtins.print = lambda *words: os._exit(0)  # so that the copy is wanted


os.register_at_fork(before=speak)
