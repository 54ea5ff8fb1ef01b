# property: nothing can be written to the kernel's files on the process
# expect: seen.error_type == "PermissionError"
# off: files, limits, syscalls
# works: seen.stdout == "REACHED\n"
with open("/proc/self/oom_score_adj", "w") as file:
    file.write("1000")
print("REACHED")
