# property: packages installed beside the standard library, perhaps with the study among them, cannot be read
# expect: seen.stdout == ""
# off: files
# works: "REACHED" in seen.stdout
import glob
import os

library = os.path.dirname(os.__file__)
for folder in (f"{library}/site-packages", f"{library}/dist-packages", f"{os.path.dirname(library)}/python3/dist-packages"):
    for path in (f"{folder}/README.txt", f"{folder}/pip/__init__.py", *glob.glob(f"{folder}/*.py")):
        try:
            open(path).close()
            print("REACHED")
        except OSError:
            pass
