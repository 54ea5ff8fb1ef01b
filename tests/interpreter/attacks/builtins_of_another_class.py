# property: a module of builtins of another class keeps no error from being reported
# expect: seen.error == "x" and seen.killed_by is None
# off: process
# works: seen.died
import builtins
import types


class Builtins(types.ModuleType):
    def __getattribute__(self, name):
        raise KeyError(name)


builtins.__class__ = Builtins
raise ValueError("x")
