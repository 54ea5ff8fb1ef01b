# property: a number that is none is refused, since no strict reader of JSON could read the record of the call
# expect: seen.error_type in ("ValueError", "TypeError") and world.taken == [] and seen.killed_by is None
# off: process
# works: seen.died
take_item(float("nan"))
