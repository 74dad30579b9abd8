"""What scripts/fuzz does: fuzz.py FUZZ FORMAT EXECUTIONS"""
import os
import pathlib
import re
import subprocess
import sys

CORPUS = pathlib.Path("Tests/Fuzz/Corpus")
WORK = pathlib.Path(".build/fuzz")

# An input of at most 16 KiB must be done with in 10 seconds and 512 MiB, which is generous: the process has
# all that AddressSanitizer keeps aside.
LIMITS = ["-max_len=16384", "-timeout=10", "-rss_limit_mb=512", "-malloc_limit_mb=128"]
# What has been freed is kept aside until an input's own memory has gone by several times, and no longer: of
# configurations, which are thousands of small pieces, a quarter more are read in the same time.
ADDRESS_SANITIZER = "quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1:malloc_context_size=8"


def main():
    fuzz, chosen, executions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    known = sorted(folder.name for folder in CORPUS.iterdir() if folder.is_dir())
    if chosen not in [*known, "all"]:
        sys.exit(f"{chosen} is none of {', '.join(known)}")
    print("| format | executions | seconds | edges | findings | corpus |\n|---|---|---|---|---|---|")
    found = []
    for name in known if chosen == "all" else [chosen]:
        grown, findings = WORK / "corpus" / name, WORK / "findings" / name
        for folder in (grown, findings):
            folder.mkdir(parents=True, exist_ok=True)
        before = set(findings.iterdir())
        process = subprocess.run(
            [fuzz, f"-runs={executions}", "-seed=1", *LIMITS, "-print_final_stats=1",
             f"-artifact_prefix={findings}/", str(grown), str(CORPUS / name),
             "-ignore_remaining_args=1", name],
            capture_output=True, text=True, errors="replace",
            env=dict(os.environ, ASAN_OPTIONS=ADDRESS_SANITIZER))
        new = sorted(set(findings.iterdir()) - before)
        # A crash may leave no file behind.
        if process.returncode and not new:
            new = [f"{name} ended with {process.returncode}"]
        if new:
            print(process.stderr[-4000:], file=sys.stderr)
        found += new

        def last(pattern):
            return (re.findall(pattern, process.stderr) or ["?"])[-1]

        corpus = sum(1 for folder in (grown, CORPUS / name) for _ in folder.iterdir())
        print(f"| {name} | {last(r'number_of_executed_units: ([0-9]+)')} "
              f"| {last(r'in ([0-9]+) second')} | {last(r'cov: ([0-9]+)')} | {len(new)} | {corpus} |",
              flush=True)
    for finding in found:
        print(finding, file=sys.stderr)
    if found:
        sys.exit(1)


main()
