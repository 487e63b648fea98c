"""How long `nibai --help` takes, beside the floor: starting Python and importing click.

Bar: under 0.3 s. Prints the median of several fresh processes of each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9
BAR_SECONDS = 0.3


def seconds(arguments: list[str]) -> float:
    """Median wall time of a fresh process."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    code = "from nibai.cli import main; import sys; sys.argv = ['nibai', '--help']; main()"
    help_page = seconds([sys.executable, "-c", code])
    floor = seconds([sys.executable, "-c", "import click"])
    print(
        f"nibai --help {help_page:.3f} s, Python and click alone {floor:.3f} s "
        f"({help_page / floor:.2f}x); bar {BAR_SECONDS} s: "
        f"{'met' if help_page < BAR_SECONDS else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
