# property: a namespace with other builtins is its own block's loss
# expect: seen.killed_by is None
# off: process
# works: after.stdout != "42\n"
# after: own
__builtins__ = {}
