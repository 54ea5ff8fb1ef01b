# property: no shell can be started
# expect: "REACHED" not in seen.stdout
# off: syscalls, files
# works: "REACHED" in seen.stdout
import os

os.system("/bin/echo REACHED")
