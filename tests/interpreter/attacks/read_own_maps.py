# property: the map of a block's own memory cannot be read
# expect: seen.error_type == "PermissionError"
# off: files
# works: "[heap]" in seen.stdout or "python" in seen.stdout
print(open("/proc/self/maps").read())
