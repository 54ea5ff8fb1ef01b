# property: a tool has no object behind it that holds the hidden values
# expect: seen.error_type == "AttributeError"
# off: process
# works: "'weight'" in seen.stdout
print(inspect.__self__._items)
