# property: a list cannot be doubled beyond the memory limit
# expect: seen.error_type == "MemoryError" and seen.killed_by is None
# off: limits
# works: seen.stdout == "REACHED\n"
# limits: memory_mb=64
numbers = [0]
while len(numbers) < 1 << 24:
    numbers += numbers
print("REACHED")
