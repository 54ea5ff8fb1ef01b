# property: no folder can be made
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.mkdir("{DIR}/folder")
