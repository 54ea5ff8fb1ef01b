# property: a recursion through C that overruns its stack ends its own process only
# expect: seen.killed_by == "signal 11"
# off: process
# works: seen.died
numbers = iter([1])
for _ in range(200_000):
    numbers = map(abs, numbers)
next(numbers)
