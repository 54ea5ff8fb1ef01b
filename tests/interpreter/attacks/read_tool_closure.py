# property: what a tool's closure holds leads to no hidden value
# expect: seen.stdout == "[]\n" and seen.error_type is None
# off: process
# works: "'weight'" in seen.stdout
cells = [cell.cell_contents for cell in take_item.__closure__]
worlds = [getattr(cell, "__self__", None) for cell in cells]
print([vars(w) for w in worlds if hasattr(w, "_items")])
