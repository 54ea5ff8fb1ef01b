# property: a file outside Python's library cannot be read
# expect: seen.error_type == "PermissionError"
# off: files
# works: "secret-" in seen.stdout
print(open("{FILE}").read())
