# property: who waits for input gets an end of file at once
# expect: seen.error_type == "EOFError"
# off: process
# works: seen.hung
input()
