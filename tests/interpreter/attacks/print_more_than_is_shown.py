# property: output beyond the limit is cut, and said to be
# expect: seen.stdout == "x" * 2000 + "\n[output cut at 2000 characters]\n" and seen.killed_by is None
# off: output_chars
# works: seen.stdout == "x" * 500_000 + "\n"
print("x" * 500_000)
