# property: a step into a folder makes its files no more readable
# expect: seen.error_type == "PermissionError"
# off: files
# works: "secret-" in seen.stdout
import os

os.chdir("{DIR}")
print(open("secret.json").read())
