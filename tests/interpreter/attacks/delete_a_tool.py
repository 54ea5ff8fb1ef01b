# property: a tool cannot be deleted by its name
# expect: seen.error_type == "NameError" and len(seen.tool_calls) == 1
# off: process
# works: seen.error_type == "NameError" and "'list_items'" in seen.error
try:
    del list_items
finally:
    list_items()
