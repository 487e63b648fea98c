"""`make bench`: every measurement of this folder, each beside a limit measured in the same run.

Each program stands alone (`python bench/NAME.py --help`). The real stories need a folder of
evaluation data, named by NIBAI_DATA; without it they are skipped, saying so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NEEDS_DATA = {"real_stories"}


def main() -> int:
    """Run all programs one after the other; the number of those that failed."""
    failed = 0
    for program in sorted(HERE.glob("*.py")):
        if program.stem.startswith("_"):
            continue
        print(f"\n== {program.stem}", flush=True)
        if program.stem in NEEDS_DATA and not os.environ.get("NIBAI_DATA"):
            print("skipped: set NIBAI_DATA to the folder of evaluation data")
            continue
        done = subprocess.run([sys.executable, str(program)], check=False)
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
