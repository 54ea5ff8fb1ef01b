# property: an error that names a line of thousands of digits shows none
# expect: seen.error_type == "SyntaxError" and seen.line is None
# off: process
# works: len(seen.line) == 4001
error = SyntaxError("m")
error.filename, error.lineno = "<block 2>", 10**4000
raise error
