"""What scripts/faults does: faults.py DIFFUSEVAE_TRAIN STRIDE"""
import collections
import errno
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import reliability

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EDQUOT": errno.EDQUOT, "EINTR": errno.EINTR,
          "a short write or read": 0}
CONFIG = re.sub(r"steps: 150", "steps: 2", reliability.CONFIG).replace("grids: 5", "grids: 2")


def main():
    train, stride = sys.argv[1], int(sys.argv[2])
    here = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        shim = place / "faults.so"
        subprocess.run(["clang" if not os.path.exists("/usr/bin/cc") else "cc", "-shared", "-fPIC", "-O1",
                        "-o", shim, here / "faults.c", "-ldl"], check=True)
        (place / "a.yaml").write_text(CONFIG)

        def go(name, **faults):
            environment = dict(os.environ, **{key: str(value) for key, value in faults.items()})
            if faults:
                environment |= {"LD_PRELOAD": str(shim), "FAULT_FOLDER": str(place / "runs")}
            return subprocess.run(
                [train, "--config", str(place / "a.yaml"), "--runs", str(place / "runs"), "--name", name,
                 "--resume", "auto", "--threads", "1"], capture_output=True, text=True, env=environment)

        count = place / "count"
        if go("whole", FAULT_COUNT=count).returncode:
            sys.exit("the training fails by itself")
        expected = reliability.digests(place / "runs/whole")
        calls = int(count.read_text())
        table, wrong = collections.Counter(), []
        for name, code in ERRORS.items():
            for call in range(1, calls + 1, stride):
                run = f"{code}-{call}"
                first = go(run, FAULT_AT=call, FAULT_ERRNO=code)
                words = os.strerror(code) if code else ""
                last = first.stderr.strip().split("\n")[-1] if first.stderr.strip() else ""
                table[name, first.returncode] += 1
                if first.returncode not in (0, 74):
                    wrong.append(f"{name}, call {call}: exit {first.returncode}: {last}")
                elif first.returncode == 74 and not (last.startswith("Error: ") and words in last):
                    wrong.append(f"{name}, call {call}: says {last}")
                second = go(run)
                if second.returncode or reliability.digests(place / "runs" / run) != expected:
                    wrong.append(f"{name}, call {call}: lost: {second.stderr.strip()[-300:]}")
        print("| the call that fails, each in a training of its own | trainings | exit 74 with its reason "
              "| went on and ended well |\n|---|---|---|---|")
        for name in ERRORS:
            print(f"| {name} | {table[name, 0] + table[name, 74]} | {table[name, 74]} | {table[name, 0]} |")
        print(f"\n{calls} calls in a training. Gone on with, {len(wrong)} had lost something, or had ended in "
              "another way.")
        if wrong:
            print("\n".join(wrong), file=sys.stderr)
            sys.exit(1)


main()
