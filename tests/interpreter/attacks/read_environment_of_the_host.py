# property: the environment of the host cannot be read from /proc
# expect: seen.error_type == "PermissionError"
# off: files, privileges
# works: "marked-" in seen.stdout
print(open("/proc/{HOST}/environ").read())
