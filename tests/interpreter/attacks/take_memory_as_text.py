# property: a text cannot be longer than the memory limit
# expect: seen.error_type == "MemoryError"
# off: limits
# works: seen.stdout == "REACHED\n"
# limits: memory_mb=64
text = "x" * (100 << 20)
print("REACHED")
