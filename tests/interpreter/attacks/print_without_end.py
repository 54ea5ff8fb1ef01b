# property: a block that prints without end is ended
# expect: seen.killed_by == "output"
# off: process
# works: seen.hung or seen.error_type == "MemoryError"
while True:
    print("spam" * 1000)
