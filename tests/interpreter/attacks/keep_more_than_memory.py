# property: data that fills half the memory is judged without a copy of it
# expect: seen.error_type is None and seen.killed_by is None and seen.stdout == "made\n"
# off: process
# works: seen.hung or seen.died
numbers = [0] * (18 << 20)
print("made")
