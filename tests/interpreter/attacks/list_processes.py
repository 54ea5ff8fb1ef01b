# property: the processes of the machine cannot be listed
# expect: seen.error_type == "PermissionError"
# off: files
# works: "'1'" in seen.stdout
import os

print([name for name in os.listdir("/proc") if name.isdigit()])
