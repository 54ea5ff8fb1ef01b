# property: no file can be renamed
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.rename("{FILE}", "{DIR}/renamed")
