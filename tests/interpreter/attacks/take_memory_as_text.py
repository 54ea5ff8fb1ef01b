# property: a text cannot be longer than the memory limit
# expect: seen.error_type == "MemoryError"
# off: limits, wall_seconds, cpu_seconds
# works: seen.stdout == "REACHED\n"
text = "x" * (270 << 20)
print("REACHED")
