# property: a raised GeneratorExit is reported like any error
# expect: seen.error_type == "GeneratorExit" and seen.killed_by is None
# off: process
# works: seen.died
raise GeneratorExit
