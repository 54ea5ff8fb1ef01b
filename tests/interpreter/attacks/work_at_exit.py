# property: what was registered for the end of the process never runs
# expect: seen.error_type is None and seen.killed_by is None
# off: process
# works: seen.hung
import atexit


@atexit.register
def forever():
    while True:
        pass
