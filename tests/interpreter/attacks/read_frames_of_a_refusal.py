# property: the traceback of a tool's refusal does not lead into the world
# expect: seen.stdout == "[]\n" and len(seen.tool_calls) == 1
# off: process
# works: "'weight'" in seen.stdout
try:
    inspect("no such item")
except Exception as refusal:
    frames, trace = [], refusal.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
owners = [frame.f_locals["self"] for frame in frames if "self" in frame.f_locals]
print([vars(owner) for owner in owners if hasattr(owner, "_items")])
