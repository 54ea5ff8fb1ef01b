# property: what the process was started with cannot be read from /proc
# expect: seen.error_type == "PermissionError"
# off: process
# works: "marked-" in seen.stdout
print(open("/proc/self/environ").read())
