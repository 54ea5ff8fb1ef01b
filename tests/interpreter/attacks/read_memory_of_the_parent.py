# property: the memory of the warm parent cannot be opened
# expect: seen.error_type == "PermissionError"
# off: files
# works: "REACHED" in seen.stdout
import os

open(f"/proc/{os.getppid()}/mem", "rb")
print("REACHED")
