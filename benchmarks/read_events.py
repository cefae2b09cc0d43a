"""Reading many event files: ours, without and with its cache, against TensorBoard's EventAccumulator with all points.

    python benchmarks/read_events.py [--runs 100] [--points 20000] [--rounds 1]

The files are written by TensorBoard's own writer. Every reading is a process of its own, so that its peak memory is its
own; readers take turns. All must find the same points. Times are without imports; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TAG = "eval/mean_reward"
READERS = ("EventAccumulator", "smoothrl, first", "smoothrl, cached")


def write(root: Path, runs: int, points: int) -> None:
    """One event file per run."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    rng = np.random.default_rng(0)
    for run in range(runs):
        writer = EventFileWriter(str(root / "task" / f"variant-{run % 10}" / f"seed-{run // 10}"))
        for step, value in enumerate(rng.normal(size=points).tolist()):
            summary = Summary(value=[Summary.Value(tag=TAG, simple_value=value)])
            writer.add_event(Event(wall_time=1.7e9 + step, step=100 * step, summary=summary))
        writer.close()


def theirs(root: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(steps, values) of every run, by EventAccumulator."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = []
    for path in sorted(root.glob("*/*/*/*tfevents*")):
        accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0})
        accumulator.Reload()
        events = accumulator.Scalars(TAG)
        found.append((np.array([e.step for e in events]), np.array([e.value for e in events])))
    return found


def ours(root: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same by `read_runs`, which finds the runs too."""
    from smoothrl.compare.reading.read import read_runs

    runs = read_runs([root], "{task}/{variant}/seed-{seed}").runs
    curves = [run.curves[TAG] for run in sorted(runs, key=lambda run: str(run.folder))]
    return [(curve.steps, curve.values) for curve in curves]


def child(reader: str, root: Path) -> None:
    """Read once, and print seconds, peak memory, and a hash of what was found."""
    for module in ("tensorboard.backend.event_processing.event_accumulator", "smoothrl.compare.reading.read"):
        importlib.import_module(module)
    started = time.perf_counter()
    found = theirs(root) if reader == READERS[0] else ours(root)
    seconds = time.perf_counter() - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    content = hashlib.sha256()
    for steps, values in found:
        content.update(steps.astype(np.int64).tobytes() + values.astype(np.float64).tobytes())
    result = {"seconds": seconds, "MB": megabytes, "points": sum(len(s) for s, _ in found), "hash": content.hexdigest()}
    print(json.dumps(result))


def measure(reader: str, root: Path, cache: Path) -> dict[str, float | str]:
    """One reading in a process of its own."""
    command = [sys.executable, __file__, "--child", reader, "--root", str(root)]
    done = subprocess.run(
        command, env=os.environ | {"XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print seconds, memory and ratios."""
    parser = argparse.ArgumentParser(description="Reading event files, against EventAccumulator.")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--child", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.root)
        return
    results: dict[str, list[dict[str, float | str]]] = {reader: [] for reader in READERS}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        write(root, args.runs, args.points)
        time.sleep(1)  # a file that has just changed is not cached
        for i in range(args.rounds):
            for reader in READERS:
                results[reader].append(measure(reader, root, Path(folder) / f"cache-{i}"))
    found = {(result["hash"], result["points"]) for each in results.values() for result in each}
    if len(found) != 1:
        sys.exit(f"the readers disagree: {results}")
    reference = np.median([result["seconds"] for result in results[READERS[0]]])
    print(f"{args.runs} runs x {args.points:,} scalars, the same points from all readers; median of {args.rounds}")
    for reader, each in results.items():
        seconds, memory = (np.median([result[key] for result in each]) for key in ("seconds", "MB"))
        print(f"{reader:<18} {seconds:8.3f} s  {reference / seconds:7.1f} x  {memory:6.0f} MB at most")


if __name__ == "__main__":
    main()
