# property: no limit can be set at all
# expect: seen.error_type in ("ValueError", "PermissionError")
# off: syscalls
# works: seen.error_type is None
import resource

resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
