# property: the accounts of the machine cannot be read
# expect: seen.error_type == "PermissionError"
# off: files
# works: "root:" in seen.stdout
print(open("/etc/passwd").read())
