# property: a number of more digits than JSON readers take goes no further than the block
# expect: seen.error_type == "ValueError" and seen.tool_calls == ()
# off: process
# works: seen.died
take_item(10**10_000)
