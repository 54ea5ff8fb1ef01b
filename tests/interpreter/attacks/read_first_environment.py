# property: what the process was started with cannot be read from /proc
# expect: seen.error_type == "PermissionError"
# off: process
# works: "marked-" in seen.stdout
print([entry for entry in open("/proc/self/environ").read().split("\0") if "marked-" in entry])
