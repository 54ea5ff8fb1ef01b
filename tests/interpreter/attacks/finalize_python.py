# property: a block that shuts Python down ends its own process only
# expect: seen.killed_by is not None
# off: process
# works: seen.died
import ctypes

ctypes.pythonapi.Py_Exit(0)
