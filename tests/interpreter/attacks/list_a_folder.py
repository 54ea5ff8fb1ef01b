# property: a folder outside Python's library cannot be listed
# expect: seen.error_type == "PermissionError"
# off: files
# works: "secret.json" in seen.stdout
import os

print(os.listdir("{DIR}"))
