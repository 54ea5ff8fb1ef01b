# property: the memory of the host, which holds the world, cannot be opened
# expect: seen.error_type == "PermissionError"
# off: files, privileges
# works: "REACHED" in seen.stdout
open("/proc/{HOST}/mem", "r+b")
print("REACHED")
