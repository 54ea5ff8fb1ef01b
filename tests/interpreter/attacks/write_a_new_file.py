# property: no file can be created for writing
# expect: seen.error_type == "PermissionError"
# off: files
# works: not place.untouched
open("{DIR}/note", "w")
