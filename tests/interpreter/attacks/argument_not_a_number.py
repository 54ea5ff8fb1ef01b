# property: a number that is none reaches a tool as what it is and is refused
# expect: seen.error_type == "ValueError" and "nan" in seen.error and world.taken == []
# off: process
# works: seen.died
take_item(float("nan"))
