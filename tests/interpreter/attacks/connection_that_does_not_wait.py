# property: a connection that was told not to wait ends nothing but its own process
# expect: seen.error_type in ("BlockingIOError", "RuntimeError") or seen.killed_by in ("exit", "tool calls", "protocol")
# off: protocol
# works: seen.error_type == "BlockingIOError"
# after: own
# limits: tool_calls=1000
import os

os.set_blocking(3, False)
for _ in range(1000):  # until an answer comes later than it is read
    list_items()
