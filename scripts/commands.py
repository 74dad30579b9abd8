"""Runs the commands of this package for the scripts that measure."""
import subprocess
import sys


def run(command):
    """What the command prints; ends with its error if it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return result.stdout.strip()
