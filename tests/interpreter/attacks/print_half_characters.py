# property: half a character in the output becomes a mark that can be written to a file
# expect: seen.stdout == "? ok\n" and seen.killed_by is None
# off: process
# works: seen.died
print("\ud800 ok")
