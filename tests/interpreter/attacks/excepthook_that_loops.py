# property: a hook for uncaught errors is never asked
# expect: seen.error_type == "KeyboardInterrupt" and seen.killed_by is None
# off: process
# works: seen.hung
import sys


def hook(*error):
    while True:
        pass


sys.excepthook = hook
raise KeyboardInterrupt
