# property: no file can be emptied by opening it
# expect: seen.error_type == "PermissionError"
# off: files
# works: not place.untouched
open("{FILE}", "w")
