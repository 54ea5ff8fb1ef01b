# property: what goes to the error stream is output like any other, with the same end
# expect: seen.killed_by == "output" and seen.stdout.startswith("eee")
# off: process
# works: seen.stdout == ""
import sys

print("e" * 4_000_000, file=sys.stderr)
