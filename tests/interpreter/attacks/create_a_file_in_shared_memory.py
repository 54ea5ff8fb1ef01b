# property: the folder of shared memory takes no file
# expect: seen.error_type == "PermissionError"
# off: files
# works: not place.untouched
import os

os.open("{SHM}", os.O_CREAT | os.O_RDWR)
