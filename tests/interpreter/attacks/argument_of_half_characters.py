# property: half a character in an argument becomes a mark before it reaches the world
# expect: seen.tool_calls[0].args == ["?"] and seen.error_type == "ValueError"
# off: process
# works: seen.died
take_item("\ud800")
