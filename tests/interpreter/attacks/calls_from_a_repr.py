# property: what the last expression's repr calls counts like any other call
# expect: seen.error_type == "RuntimeError" and len(seen.tool_calls) == 5
# off: tool_calls
# works: seen.stdout == "6\n" and len(seen.tool_calls) == 6
class Asking:
    def __repr__(self):
        return str(len([list_items() for _ in range(6)]))


Asking()
