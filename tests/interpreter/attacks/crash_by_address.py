# property: a read of address zero ends its own process only
# expect: seen.killed_by == "signal 11"
# off: process
# works: seen.died
import ctypes

ctypes.string_at(0)
