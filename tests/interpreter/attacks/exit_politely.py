# property: sys.exit ends the block and nothing else
# expect: (seen.error_type, seen.error, seen.killed_by) == ("SystemExit", "bye", None)
# off: process
# works: seen.died
import sys

sys.exit("bye")
