# property: an audit hook that refuses everything spoils nothing but its own interpreter
# expect: seen.killed_by in (None, "exit")
# off: process
# works: after.stdout != "42\n"
# after: own
import sys


def hook(event, arguments):
    raise RuntimeError(event)


sys.addaudithook(hook)
