# property: a broken contextlib module changes no report and no call
# expect: seen.error_type is None and len(seen.tool_calls) == 1 and seen.killed_by is None
# off: protocol
# works: seen.died
import contextlib

contextlib.suppress = contextlib.redirect_stdout = None
list_items();
