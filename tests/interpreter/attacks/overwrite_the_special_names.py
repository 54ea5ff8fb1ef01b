# property: special names that a block overwrites are no bindings of its own and spoil no step
# expect: "__name__" not in seen.written + seen.bindings and "x" in seen.written and seen.killed_by is None
# off: process
# works: "__name__ = 'forged'" in seen.bindings
__name__ = __spec__ = __loader__ = __package__ = "forged"
__doc__ = __file__ = 5
x = 1
