# property: half a character in an error becomes a mark that can be written to a file
# expect: seen.error == "? and so on" and seen.killed_by is None
# off: process
# works: seen.died
raise ValueError("\udfff and so on")
