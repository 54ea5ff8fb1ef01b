# property: no file can be created by the bare system call
# expect: seen.error_type == "PermissionError"
# off: files
# works: not place.untouched
import os

os.open("{DIR}/note", os.O_CREAT | os.O_RDONLY)
