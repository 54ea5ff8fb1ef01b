# property: a block that goes on calling tools after every refusal is ended
# expect: seen.killed_by == "tool calls" and len(seen.tool_calls) == 16
# off: tool_calls
# works: seen.stdout == "REACHED\n"
for _ in range(100):
    try:
        list_items()
    except BaseException:
        pass
print("REACHED")
