# property: no file's mode can be changed
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: not place.untouched
import os

os.chmod("{FILE}", 0o600)
