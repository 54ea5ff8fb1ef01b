# property: a raised KeyboardInterrupt is reported like any error
# expect: seen.error_type == "KeyboardInterrupt" and seen.killed_by is None
# off: process
# works: seen.died
raise KeyboardInterrupt
