# property: no file without a name can be created
# expect: seen.error_type == "PermissionError"
# off: files
# works: seen.stdout == "REACHED\n"
import os

os.open("{DIR}", os.O_TMPFILE | os.O_RDWR)
print("REACHED")
