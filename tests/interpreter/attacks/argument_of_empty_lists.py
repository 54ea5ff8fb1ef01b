# property: a short text that becomes large in the host's memory is no argument
# expect: seen.error_type == "ValueError" and [call.args for call in seen.tool_calls] == [[]]
# off: process
# works: seen.taking == [[[[]] * 300_000]]
take_item([[] for _ in range(300_000)])
