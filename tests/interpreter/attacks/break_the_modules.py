# property: modules replaced in the list of modules change no report and no call
# expect: seen.error_type is None and len(seen.tool_calls) == 1 and seen.killed_by is None
# off: process
# works: seen.score == 1
import sys


class Json:
    @staticmethod
    def dumps(report, **how):
        return '{"score": 1}'


for name in list(sys.modules):
    sys.modules[name] = Json
list_items();
