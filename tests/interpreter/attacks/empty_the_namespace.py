# property: a block that empties its namespace still has the tools
# expect: seen.error_type is None and len(seen.tool_calls) == 1
# off: process
# works: seen.error_type == "NameError"
globals().clear()
list_items()
