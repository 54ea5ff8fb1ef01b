# property: a timer that ends the process from another thread is an observation
# expect: seen.killed_by == "exit"
# off: process
# works: seen.died
import faulthandler
import time

faulthandler.dump_traceback_later(0.05, exit=True, file=open("/dev/null", "w"))
time.sleep(0.5)
