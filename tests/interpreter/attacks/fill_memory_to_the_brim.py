# property: a block that fills its memory and goes on is still reported
# expect: (seen.error_type == "MemoryError" or seen.stdout == "full\n") and seen.killed_by in (None, "exit")
# off: limits
# works: seen.stdout == ""
# after: own
# limits: memory_mb=64
parts, size, total = [], 1 << 20, 0
while size > 512 and total < 100 << 20:
    try:
        parts.append(bytes(size))
        total += size
    except MemoryError:
        size //= 2
if size <= 512:
    print("full")
