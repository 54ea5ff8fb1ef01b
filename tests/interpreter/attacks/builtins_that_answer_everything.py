# property: builtins that raise for names they do not know keep no error from being reported
# expect: seen.error == "x" and seen.killed_by is None
# off: process
# works: seen.died
import builtins


def unknown(name):
    raise KeyError(name)


class Bad(ValueError):
    pass


builtins.__getattr__ = unknown
raise Bad("x")
