# property: who puts a pipe in the place of the connection has left
# expect: seen.killed_by == "exit"
# off: protocol
# works: seen.died
import os

os.dup2(os.pipe()[1], 3)
