# property: a short text that becomes large in the host's memory is no argument
# expect: seen.error_type == "ValueError" and [call.args for call in seen.tool_calls] == [[]]
# off: process
# limits: wall_seconds=60, cpu_seconds=20
# works: seen.taking == [[[[]] * 100_000]]
take_item([[] for _ in range(100_000)])
