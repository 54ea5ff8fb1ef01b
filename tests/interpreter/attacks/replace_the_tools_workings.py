# property: a tool whose inner workings are replaced does nothing in the world
# expect: seen.tool_calls == () and world.inspected == [] and seen.killed_by is None
# off: process
# works: seen.score == 1
names = getattr(inspect, "__func__", inspect).__globals__
before = dict(names)
names["send"] = lambda message: None
names["receive"] = lambda: {"value": "{}"}
if "KnapsackWorld" in names:
    names["KnapsackWorld"].result = lambda self: {"score": 1}
inspect("Ba")
names.update(before)
