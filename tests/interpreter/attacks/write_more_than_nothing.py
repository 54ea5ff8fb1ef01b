# property: a file that could be opened would still take no byte
# expect: seen.error_type is not None
# off: files, limits
# works: place.dir.joinpath("note").stat().st_size == 4
with open("{DIR}/note", "w") as file:
    file.write("note")
