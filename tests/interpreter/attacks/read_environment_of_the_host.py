# property: the environment of the host cannot be read from /proc
# expect: seen.error_type == "PermissionError"
# off: files, privileges
# works: "marked-" in seen.stdout
print([entry for entry in open("/proc/{HOST}/environ").read().split("\0") if "marked-" in entry])
