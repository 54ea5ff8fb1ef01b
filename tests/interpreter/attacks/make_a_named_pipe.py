# property: no named pipe can be made
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: not place.untouched
import os

os.mkfifo("{DIR}/pipe")
