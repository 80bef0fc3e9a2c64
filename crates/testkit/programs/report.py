"""Reads input, arguments, environment and a directory, and writes a file: what a program does."""

import csv
import hashlib
import json
import os
import sys
from pathlib import Path

data = Path(sys.argv[1])
lines = sys.stdin.read().splitlines()

with open(data / "planets.csv", newline="") as file:
    planets = list(csv.DictReader(file))

report = {
    "arguments": sys.argv[2:],
    "greeting": os.environ.get("GREETING"),
    "environment": sorted(name for name in os.environ if not name.startswith("PYTHON")),
    "lines": [line[::-1] for line in lines],
    "names": sorted(os.listdir(data)),
    "moons": sum(int(planet["moons"]) for planet in planets),
    "sha256": hashlib.sha256((data / "planets.csv").read_bytes()).hexdigest(),
}

(data / "out").mkdir()
target = data / "out" / "report.json"
target.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
(data / "out" / "scratch").write_text("gone soon")
os.rename(data / "out" / "scratch", data / "out" / "renamed")
os.remove(data / "out" / "renamed")

assert json.loads(target.read_text(encoding="utf-8")) == report
print(len(lines), "lines,", report["moons"], "moons", flush=True)
print("done", file=sys.stderr)
sys.exit(7)
