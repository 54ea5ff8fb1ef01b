# property: a thread that interrupts whatever runs next ends nothing but its own process
# expect: seen.killed_by is None
# off: process
# works: seen.died
# after: own
import _thread
import threading
import time


def later():
    while True:
        _thread.interrupt_main()
        time.sleep(0.0001)


threading.Thread(target=later, daemon=True).start()
