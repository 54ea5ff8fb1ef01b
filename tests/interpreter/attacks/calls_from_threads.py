# property: eight threads together get no call more than one
# expect: seen.stdout == "4\n" and sum(call.error is None for call in seen.tool_calls) == 4
# off: tool_calls
# works: seen.stdout == "8\n"
import threading

answers = []
threading.stack_size(1 << 16)  # or eight of them are too much memory


def ask():
    try:
        answers.append(list_items())
    except RuntimeError:
        pass


threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(answers))
