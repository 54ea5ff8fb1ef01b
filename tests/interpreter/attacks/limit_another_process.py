# property: no limit of another process can be changed
# expect: seen.error_type == "PermissionError"
# off: syscalls
# works: seen.stdout == "REACHED\n"
import resource

resource.prlimit({PID}, resource.RLIMIT_NOFILE, (10, 10))
print("REACHED")
