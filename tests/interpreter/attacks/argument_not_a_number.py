# property: a number that is none reaches no tool
# expect: seen.error_type == "ValueError" and world.taken == []
# off: process
# works: seen.died
take_item(float("nan"))
