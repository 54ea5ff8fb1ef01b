# property: a block that has no stream any more is reported, and so are the calls that it makes
# expect: seen.error_type is None and seen.killed_by is None and len(seen.tool_calls) == 1
# off: process
# works: after.stdout == ""
# after: own
import sys

del sys.stdout
answer = list_items()
