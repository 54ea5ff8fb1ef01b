# property: a block's own memory cannot be opened as a file
# expect: seen.error_type == "PermissionError"
# off: files, syscalls
# works: seen.stdout == "4\n"
with open("/proc/self/mem", "rb", 0) as memory:
    memory.seek(id(memory))
    print(len(memory.read(4)))
