# property: an argument of many megabytes goes no further than the block
# expect: seen.error_type == "ValueError" and seen.tool_calls == ()
# off: process
# works: len(seen.taking[0][0]) == 5_000_000
take_item("x" * 5_000_000)
