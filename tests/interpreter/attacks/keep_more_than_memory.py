# property: data that fills half the memory is judged without a copy of it
# expect: seen.error_type is None and seen.killed_by is None and seen.stdout == "made\n"
# off: process
# works: any(len(text) > 10**6 for text in seen.bindings) or seen.hung
# limits: memory_mb=64
numbers = [0] * (3 << 20)
print("made")
