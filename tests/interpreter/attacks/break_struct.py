# property: a broken struct module changes no report and no call
# expect: seen.error_type is None and len(seen.tool_calls) == 1 and seen.killed_by is None
# off: protocol
# works: seen.died
import struct

struct.pack = struct.unpack = None
list_items();
