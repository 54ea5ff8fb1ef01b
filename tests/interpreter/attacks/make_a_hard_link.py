# property: no second name can be given to a file
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.link("{FILE}", "{DIR}/link")
