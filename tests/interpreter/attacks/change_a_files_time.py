# property: no file's time can be changed
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: not place.untouched
import os

os.utime("{FILE}", (1, 1))
