# property: a descriptor that only names a file cannot be opened again for reading
# expect: seen.error_type == "PermissionError"
# off: files
# works: "secret-" in seen.stdout
import os

print(open(f"/proc/self/fd/{os.open('{FILE}', os.O_PATH)}").read())
