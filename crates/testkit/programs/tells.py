"""Tells of arguments, environment and input in a file, and fails: a component that componentize-py makes."""

import json
import os
import sys
from pathlib import Path

from wit_world import exports


class Run(exports.Run):
    def run(self):
        data = Path(sys.argv[1])
        told = {
            "arguments": sys.argv[2:],
            "greeting": os.environ.get("GREETING"),
            "lines": [line[::-1] for line in sys.stdin.read().splitlines()],
            "names": sorted(os.listdir(data)),
            "power": str(3**50),
        }
        (data / "told.json").write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")
        print((data / "told.json").stat().st_size, "bytes", flush=True)
        print("done", file=sys.stderr, flush=True)
        sys.exit(7)
