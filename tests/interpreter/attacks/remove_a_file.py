# property: no file can be removed
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.unlink("{FILE}")
