# property: a tool called with an argument by name refuses it
# expect: seen.error_type == "TypeError" and seen.tool_calls == ()
# off: process
# works: "no item" in seen.error
take_item(item_id="Ba")
