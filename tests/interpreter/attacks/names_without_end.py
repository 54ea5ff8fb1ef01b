# property: of many long names the observation keeps five hundred short ones
# expect: len(seen.written) <= 500 and all(len(name) <= 80 for name in seen.written) and seen.killed_by is None
# off: process
# works: len(seen.bindings) > 2000
for number in range(3000):
    globals()["name" * 100 + str(number)] = 1
