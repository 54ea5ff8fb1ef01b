# property: a descriptor of a folder opens no file in it
# expect: seen.error_type == "PermissionError"
# off: files
# works: "secret-" in seen.stdout
import os

folder = os.open("{DIR}", os.O_PATH)  # which is no reading yet, and so allowed
print(os.read(os.open("secret.json", os.O_RDONLY, dir_fd=folder), 99))
