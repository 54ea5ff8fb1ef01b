# property: whoever catches every refusal gets no call more
# expect: seen.stdout == "4\n" and sum(call.error is None for call in seen.tool_calls) == 4
# off: tool_calls
# works: seen.stdout == "12\n"
answers = []
for _ in range(12):
    try:
        answers.append(list_items())
    except BaseException:
        pass
print(len(answers))
