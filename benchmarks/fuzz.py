"""Malformed input for every public method: what may come out is a documented exception.

Trials are those of ``tests/malformed.py``: mutations of valid data, parameters and arguments, each
known by a seed and a number. A trial is a defect if it ends in anything but a ValueError or
TypeError that says what is wrong, in a numerical warning, or with an estimator half-fitted.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import malformed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0, help="go on from this number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="carry out this one, and show its error")
    parser.add_argument("--defects", type=Path, help="write them here, one JSON object per line")
    args = parser.parse_args()
    if args.only is not None:
        return _show(args.seed, args.only)
    if args.defects is not None:
        args.defects = args.defects.resolve()
    with tempfile.TemporaryDirectory() as folder:  # where odd names of files may lead
        os.chdir(folder)
        found = _run(args)
        os.chdir("/")
    _report(*found, args)
    return None


def _run(args: argparse.Namespace) -> tuple[Counter, Counter, Counter, list[dict]]:
    outcomes: Counter = Counter()
    subjects: Counter = Counter()
    kinds: Counter = Counter()
    defects = []
    begin = time.perf_counter()
    for number in range(args.start, args.start + args.inputs):
        trial = malformed.draw(args.seed, number)
        verdict = malformed.judge(trial)
        outcomes[verdict.outcome] += 1
        if verdict.outcome == "not applicable":
            continue
        subjects[trial.subject.partition("(")[0].partition(".")[0]] += 1
        kinds[trial.kind.removeprefix("alone: ")] += 1
        if verdict.defect:
            defects.append(
                {
                    "number": number,
                    "subject": trial.subject,
                    "kind": trial.kind,
                    "defect": verdict.defect,
                    "outcome": verdict.outcome,
                    "message": verdict.message,
                }
            )
            if args.defects is not None:
                with open(args.defects, "a", encoding="utf-8") as file:
                    file.write(json.dumps(defects[-1]) + "\n")
    print(f"{args.inputs} inputs in {time.perf_counter() - begin:.0f} s, seed {args.seed}")
    return outcomes, subjects, kinds, defects


def _report(
    outcomes: Counter,
    subjects: Counter,
    kinds: Counter,
    defects: list[dict],
    args: argparse.Namespace,
) -> None:
    print("\nends: " + ", ".join(f"{name} {n}" for name, n in outcomes.most_common()))
    print("of: " + ", ".join(f"{name} {n}" for name, n in sorted(subjects.items())))
    print(f"\n{len(kinds)} kinds of malformation:")
    print("; ".join(f"{name} {n}" for name, n in sorted(kinds.items())))
    print(f"\n{len(defects)} defects")
    for d in defects:
        print(
            f"--seed {args.seed} --only {d['number']}  {d['subject']}  [{d['kind']}]  "
            f"{d['defect']}: {d['outcome']}: {d['message'][:200]}"
        )


def _show(seed: int, number: int) -> None:
    trial = malformed.draw(seed, number)
    print(f"{trial.subject} [{trial.kind}] {trial.estimator}")
    print(malformed.judge(trial))
    trial = malformed.draw(seed, number)
    print(f"gives {trial.call()!r}")


if __name__ == "__main__":
    main()
