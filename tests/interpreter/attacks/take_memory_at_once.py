# property: more memory than the limit cannot be had at once
# expect: seen.error_type == "MemoryError" and "256 MB" in seen.error
# off: limits
# works: seen.stdout == "REACHED\n"
block = bytearray(400 << 20)
print("REACHED")
