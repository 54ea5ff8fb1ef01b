# property: a raised SystemExit is reported like any error
# expect: seen.error_type == "SystemExit" and seen.killed_by is None
# off: process
# works: seen.died
raise SystemExit(0)
