# property: a tool's globals lead to nothing of the world's module
# expect: seen.stdout == "[]\n"
# off: process
# works: "KnapsackWorld" in seen.stdout
names = getattr(inspect, "__func__", inspect).__globals__
print([name for name in names if "Knapsack" in name or "make_task" in name])
