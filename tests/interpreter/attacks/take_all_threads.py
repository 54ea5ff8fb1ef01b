# property: threads are bounded by the memory that they take
# expect: seen.error_type == "RuntimeError" and seen.killed_by is None
# off: limits
# works: seen.stdout == "REACHED\n"
import threading

end = threading.Event()
for _ in range(100):
    threading.Thread(target=end.wait, daemon=True).start()
print("REACHED")
