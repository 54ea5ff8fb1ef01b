# property: multiprocessing starts no process
# expect: seen.error_type in ("PermissionError", "OSError")
# off: syscalls
# works: "REACHED" in seen.stdout
import multiprocessing


def work():
    print("REACHED", flush=True)


process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
