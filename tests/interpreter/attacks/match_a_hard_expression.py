# property: a search with a catastrophic expression is ended
# expect: seen.killed_by == "time"
# off: process
# works: seen.hung
# limits: wall_seconds=0.4
import re

re.match(r"(a+)+$", "a" * 40 + "b")
