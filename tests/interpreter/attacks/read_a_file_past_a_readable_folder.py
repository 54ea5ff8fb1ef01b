# property: `..` after a readable folder leads to no other file
# expect: seen.error_type == "PermissionError"
# off: files
# works: "secret-" in seen.stdout
import os

folder = os.path.dirname(os.__file__)
print(open(folder + "/.." * folder.count("/") + "{FILE}").read())
