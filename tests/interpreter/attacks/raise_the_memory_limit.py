# property: the memory limit cannot be raised
# expect: seen.error_type in ("ValueError", "PermissionError")
# off: syscalls, limits
# works: seen.stdout == "REACHED\n"
import resource

resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
print("REACHED")
