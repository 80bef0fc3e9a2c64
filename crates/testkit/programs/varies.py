"""Prints what differs from one run of a program to the next, and makes files."""

import json
import os
import random
import sys
import tempfile
import time
import uuid
from pathlib import Path

data, scratch = Path(sys.argv[1]), Path(sys.argv[2])
before = time.time(), time.monotonic()
time.sleep(86400)
made = []
for name in ("b", "a", "c"):
    (scratch / name).write_text(name)
    made.append(os.stat(scratch / name).st_mtime_ns)
with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as file:
    file.write(random.randbytes(8))

print(
    json.dumps(
        {
            "before": before,
            "slept": time.monotonic() - before[1],
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "random": [random.random() for _ in range(3)],
            "urandom": os.urandom(8).hex(),
            "uuid": str(uuid.uuid4()),
            "uuid of the time": str(uuid.uuid1()),
            "hash": hash("a text"),
            "set": list({"one", "two", "three", "four", "five"}),
            "address": hex(id(made)),
            "listed": os.listdir(data),
            "numbers": [entry.inode() for entry in os.scandir(data)],
            "scratch": sorted(os.listdir(scratch)),
            "made": made,
        },
        indent=1,
    )
)
