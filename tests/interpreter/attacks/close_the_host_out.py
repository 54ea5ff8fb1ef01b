# property: who closes the connection to the host has left
# expect: seen.killed_by == "exit"
# off: protocol
# works: seen.died
import os

os.close(3)
