# property: whoever lifts the limit of digits ends its own step
# expect: seen.killed_by == "protocol" and seen.tool_calls == ()
# off: process
# works: seen.died
import sys

sys.set_int_max_str_digits(0)
take_item(10**10_000)
