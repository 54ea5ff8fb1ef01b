# property: a list that contains itself goes no further than the block
# expect: seen.error_type == "ValueError" and seen.tool_calls == ()
# off: process
# works: seen.died
ring = []
ring.append(ring)
take_item(ring)
