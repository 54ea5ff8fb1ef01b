# property: a name that appears while the step is being closed is a name like any other in the next
# expect: seen.killed_by is None and after.killed_by is None
# off: process
# works: after.stdout == ""
# after: own
import sys


class Binding:
    def write(self, text):
        pass

    def flush(self):
        globals()["late"] = 1


sys.stdout = Binding()
