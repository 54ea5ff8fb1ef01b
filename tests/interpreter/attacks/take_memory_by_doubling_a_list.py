# property: a list cannot be doubled beyond the memory limit
# expect: seen.error_type == "MemoryError"
# off: limits
# works: seen.stdout == "REACHED\n"
numbers = [0]
while len(numbers) < 1 << 25:
    numbers += numbers
print("REACHED")
