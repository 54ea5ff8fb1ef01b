# property: more memory than the limit cannot be had at once
# expect: seen.error_type == "MemoryError" and "64 MB" in seen.error
# off: limits
# works: seen.stdout == "REACHED\n"
# limits: memory_mb=64
block = bytearray(100 << 20)
print("REACHED")
