# property: no symbolic link can be made
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.symlink("{FILE}", "{DIR}/link")
