"""The table of scripts/coverage: coverage.py REPORT SOURCES"""
import collections
import json
import pathlib
import sys

# Must be run whole: a folder, or files of the target DiffuseVAE.
WHOLE = ["Formats/", "DiffuseVAE/Training/Checkpoints.swift", "DiffuseVAE/Runs/Weights.swift"]


def lines_not_run(file):
    """From llvm-cov's segments [line, column, count, has count, ...]: each holds until the next."""
    missing = set()
    segments = file["segments"]
    for now, following in zip(segments, segments[1:]):
        if now[3] and now[2] == 0:
            missing.update(range(now[0], following[0] + 1))
    # A line in part of which something ran has run.
    for now, following in zip(segments, segments[1:]):
        if now[3] and now[2] > 0:
            missing.difference_update(range(now[0], following[0] + 1))
    return sorted(missing)


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
        if any(name.startswith(start) for start in WHOLE) and lines["covered"] < lines["count"]:
            whole.append((name, lines, lines_not_run(file)))
    print("| target | lines | run by tests |\n|---|---|---|")
    for name, (covered, count) in sorted(targets.items(), key=lambda item: item[0] == "all"):
        print(f"| {name} | {count} | {100 * covered / count:.1f} % |")
    print()
    for name, lines, missing in whole:
        print(f"{name}: {lines['covered']} of {lines['count']}; not {missing}")
    if not whole:
        print("All lines of formats and checkpoints are run.")


main()
