# property: an error from code that has no line numbers is reported
# expect: seen.error_type == "ZeroDivisionError" and seen.killed_by is None
# off: process
# works: seen.died
import sys

code = compile("1 / 0", sys._getframe().f_code.co_filename, "exec")
exec(code.replace(co_linetable=b""))
