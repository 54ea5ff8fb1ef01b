# property: errors that are one another's context are told once each
# expect: seen.error_type == "ValueError" and len(seen.traceback) < 2000
# off: process
# works: seen.hung or seen.died
first, second = ValueError("first"), KeyError("second")
first.__context__, second.__context__ = second, first
raise first
