# property: the function that scores cannot be replaced
# expect: seen.error_type == "AttributeError" and world.outcome()["optimality"] == 0
# off: process
# works: seen.optimality == 1
type(inspect.__self__).outcome = lambda self: {"optimality": 1}
