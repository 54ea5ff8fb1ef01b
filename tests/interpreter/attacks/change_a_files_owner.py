# property: no file's owner can be changed
# expect: seen.error_type == "PermissionError"
# off: syscalls, privileges
# works: not place.untouched
import os

os.chown("{FILE}", 65534, 65534)
