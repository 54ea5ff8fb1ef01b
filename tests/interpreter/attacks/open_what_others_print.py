# property: the output of another episode, or of a child that waits, cannot be opened to read, write or fill it
# expect: seen.stdout == "0\n"
# off: files, syscalls
# works: int(seen.stdout) > 0
import os

me, own, found = os.getpid(), os.readlink("/proc/self/fd/1"), 0
for pid in range(max(2, me - 400), me + 400):
    try:
        link = os.readlink(f"/proc/{pid}/fd/1")
        if link.startswith("pipe:") and link != own:
            os.close(os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK))
            found += 1
    except OSError:
        pass
print(found)
