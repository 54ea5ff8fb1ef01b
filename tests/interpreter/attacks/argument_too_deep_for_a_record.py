# property: a list too deep to be copied into a record is not taken as an argument
# expect: seen.error_type is not None or seen.killed_by == "protocol"
# off: process
# works: seen.died
deep = []
for _ in range(600):
    deep = [deep]
take_item(deep)
