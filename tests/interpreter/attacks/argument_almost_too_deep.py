# property: no depth of an argument is an error of the host
# expect: world.taken == [] and seen.killed_by in (None, "protocol", "tool calls", "signal 11")
# off: process
# works: seen.died
# limits: tool_calls=40
deep = []
for depth in range(1, 1000):
    deep = [deep]
    if depth > 800 and depth % 6 == 0:
        try:
            take_item(deep)
        except ValueError:
            pass
