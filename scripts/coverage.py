"""The table of scripts/coverage: coverage.py REPORT SOURCES"""
import collections
import json
import pathlib
import sys

# Must be run whole: a folder, or files of the target DiffuseVAE.
WHOLE = ["Formats/", "DiffuseVAE/Runs/StateFiles.swift", "DiffuseVAE/Runs/Weights.swift",
         "DiffuseVAE/Training/BestWeights.swift", "DiffuseVAE/Training/Checkpoints.swift"]


def lines_not_run(file):
    """From llvm-cov's segments [line, column, count, has count, is entry, is gap], each of which holds until
    the next. A line has run if what reaches into it has, or what begins in it."""
    begun = collections.defaultdict(list)
    for segment in file["segments"]:
        begun[segment[0]].append(segment)
    missing, before = [], None
    for line in range(min(begun, default=0), max(begun, default=-1) + 1):
        counts = [count for _, _, count, has, entry, gap in begun[line] if has and entry and not gap]
        if before and before[3]:
            counts.append(before[2])
        if counts and max(counts) == 0:
            missing.append(line)
        before = begun[line][-1] if begun[line] else before
    return missing


def main():
    report, sources = sys.argv[1], pathlib.Path(sys.argv[2])
    targets = collections.defaultdict(lambda: [0, 0])
    whole = []
    for file in json.load(open(report))["data"][0]["files"]:
        path = pathlib.Path(file["filename"])
        if not path.is_relative_to(sources):
            continue
        name = str(path.relative_to(sources))
        lines = file["summary"]["lines"]
        for key in (name.split("/")[0], "all"):
            targets[key][0] += lines["covered"]
            targets[key][1] += lines["count"]
        missing = lines_not_run(file)
        if missing and any(name.startswith(start) for start in WHOLE):
            whole.append((name, missing))
    print("| target | lines | run by tests |\n|---|---|---|")
    for name, (covered, count) in sorted(targets.items(), key=lambda item: item[0] == "all"):
        print(f"| {name} | {count} | {100 * covered / count:.1f} % |")
    print()
    for name, missing in whole:
        print(f"{name}: not {', '.join(map(str, missing))}")
    if not whole:
        print("All lines of formats and checkpoints are run.")


main()
