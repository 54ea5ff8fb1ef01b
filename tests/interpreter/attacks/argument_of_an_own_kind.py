# property: a text of the block's own kind reaches the world as plain text
# expect: type(seen.tool_calls[0].args[0]) is str and seen.tool_calls[0].args == ["Ba"]
# off: process
# works: seen.error == "trap"
class Trap(str):
    def __hash__(self):
        raise ValueError("trap")

    def __str__(self):
        raise ValueError("trap")


take_item(Trap("Ba"))
