# property: broken functions of the os module change no report and no call
# expect: seen.error_type is None and len(seen.tool_calls) == 1 and seen.killed_by is None
# off: process
# works: seen.died
import os

os.write = os.read = os._exit = os.getpid = os.fork = os.close = os.dup2 = os.waitpid = lambda *a: 0
list_items();
