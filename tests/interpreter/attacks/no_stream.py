# property: a block without a stream is reported, and its process goes on
# expect: seen.error_type is None and seen.killed_by is None
# off: process
# works: after.stdout == ""
# after: own
import sys

sys.stdout = sys.stderr = None
