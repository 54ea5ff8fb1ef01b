# property: a search of the disk finds no task file
# expect: seen.stdout == "[]\n"
# off: files
# works: "secret.json" in seen.stdout
import glob

print(glob.glob("{DIR}/**/*.json", recursive=True))
