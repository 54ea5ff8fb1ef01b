# property: a process cannot become a program that is in no file
# expect: seen.error_type == "PermissionError"
# off: syscalls, files, limits
# works: "REACHED" in seen.stdout
import os

program = os.memfd_create("program", 0)
os.write(program, b"#!/bin/echo REACHED\n")
os.execve(program, ["program"], {})
