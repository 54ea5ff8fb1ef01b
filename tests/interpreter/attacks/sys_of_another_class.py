# property: a sys module of another class keeps no step from being reported
# expect: seen.killed_by is None
# off: protocol
# works: seen.died
# after: own
import sys
import types


class Sys(types.ModuleType):
    def __getattribute__(self, name):
        raise KeyError(name)


sys.__class__ = Sys
