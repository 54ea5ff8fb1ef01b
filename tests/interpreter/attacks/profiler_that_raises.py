# property: a profiler that raises in whatever runs next ends nothing but its own process
# expect: seen.killed_by in (None, "exit")
# off: process
# works: seen.died
# after: own
import sys


def profile(frame, event, argument):
    if not frame.f_code.co_filename.startswith("<block"):
        raise ValueError


sys.setprofile(profile)
