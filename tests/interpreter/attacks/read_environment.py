# property: no variable of the host is in a block's environment
# expect: "marked-" not in seen.stdout and seen.stdout.count("=") == 4
# off: process
# works: "marked-" in seen.stdout
import os

for name, value in os.environ.items():
    print(f"{name}={value}")
