# property: the command lines of other processes cannot be read
# expect: seen.error_type == "PermissionError"
# off: files
# works: "600" in seen.stdout
print(open("/proc/{PID}/cmdline").read())
