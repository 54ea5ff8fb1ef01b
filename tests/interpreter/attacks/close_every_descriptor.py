# property: who closes every descriptor has left, and no other step notices
# expect: seen.killed_by == "exit"
# off: process
# works: seen.died
import os

os.closerange(0, 1000)
