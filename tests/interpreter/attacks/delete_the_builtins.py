# property: a block that deletes all builtins is reported
# expect: seen.killed_by is None
# off: process
# works: seen.died
# after: own
import builtins

vars(builtins).clear()
