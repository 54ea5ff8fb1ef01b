# property: broken builtins change no report and no call
# expect: seen.error_type is None and len(seen.tool_calls) == 1 and seen.killed_by is None
# off: process
# works: seen.died
# after: own
import builtins

broken = "len isinstance type str sorted getattr print open compile exec eval id list set dict memoryview".split()
for name in broken:
    setattr(builtins, name, None)
list_items();
