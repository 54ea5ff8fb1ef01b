# property: a timer that goes on raising after the block ends nothing but its own process
# expect: seen.killed_by in (None, "exit", "signal 14")
# off: process
# works: seen.died
# after: own
import signal


def ring(*_):
    raise ValueError


signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
