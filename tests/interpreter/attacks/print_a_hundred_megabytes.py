# property: of a hundred megabytes of output the host takes in one
# expect: seen.killed_by == "output" and len(seen.stdout) < 2100
# off: process
# works: seen.printed > 10**8 or seen.hung
print("x" * 100_000_000)
