# property: no file can be cut short
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.truncate("{FILE}", 0)
