# property: a stream of the block's own takes its own prints only
# expect: seen.error_type is None and seen.killed_by is None
# off: process
# works: after.stdout == ""
# after: own
import sys


class Nowhere:
    def write(self, text):
        pass


sys.stdout = Nowhere()
