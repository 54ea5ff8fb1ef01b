# property: an abort ends its own process only
# expect: seen.killed_by in ("signal 6", "signal 11")
# off: process
# works: seen.died
import os

os.abort()
