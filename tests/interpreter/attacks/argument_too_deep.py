# property: a list too deep for JSON goes no further than the block
# expect: seen.error_type == "RecursionError" and seen.tool_calls == ()
# off: process
# works: seen.died
deep = []
for _ in range(100_000):
    deep = [deep]
take_item(deep)
