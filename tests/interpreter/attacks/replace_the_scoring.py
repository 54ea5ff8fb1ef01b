# property: the function that scores cannot be replaced
# expect: seen.error_type == "AttributeError" and world.result()["score"] == 0
# off: process
# works: seen.score == 1
type(inspect.__self__).result = lambda self: {"score": 1}
