# property: nothing can be written to a file
# expect: seen.error_type == "PermissionError"
# off: files, limits
# works: not place.untouched
with open("{FILE}", "a") as file:
    file.write("more")
