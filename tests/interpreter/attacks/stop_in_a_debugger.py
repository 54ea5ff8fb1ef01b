# property: a breakpoint does not wait for anyone
# expect: seen.error_type is not None and seen.killed_by is None and "after" not in seen.stdout
# off: process
# works: seen.hung
breakpoint()
print("after the breakpoint")
