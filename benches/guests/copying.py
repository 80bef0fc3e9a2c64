"""Copies what is in /lib to /copy, and tells how long it takes to import it from there, in nanoseconds."""
import os
import sys
import time

for at, _, names in os.walk("/lib"):
    to = "/copy" + at.removeprefix("/lib")
    if not os.path.isdir(to):
        os.mkdir(to)
    for name in names:
        with open(f"{at}/{name}", "rb") as file:
            content = file.read()
        with open(f"{to}/{name}", "wb") as file:
            file.write(content)
sys.path[:] = ["/copy"] + [path for path in sys.path if path != "/lib"]
began = time.monotonic_ns()
import everything

print(time.monotonic_ns() - began)
assert everything.__file__ == "/copy/everything.py"
