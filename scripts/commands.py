"""Runs the commands of this package for the scripts that measure."""
import json
import pathlib
import subprocess
import sys


def run(command):
    """What the command prints; ends with its error if it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return result.stdout.strip()


def trained(folder, name, runs, config, settings):
    """The run `name`, trained unless it has been: by the command in `folder`, of a configuration file
    with some settings changed. What was begun goes on."""
    train = f"{folder}/diffusevae-train"
    path = pathlib.Path(runs) / name
    if (path / "config.yaml").exists():
        run([train, "--resume", name, "--runs", runs])
    else:
        changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        run([train, "--config", config, "--name", name, "--runs", runs, *changes])
    return path


def evaluated(folder, run_path, out, options):
    """The rows of refined images of an evaluation, measured unless that has been: its report is kept in
    the folder `out`, with the options that it is of."""
    kept = pathlib.Path(out)
    note, report = kept / "options.json", kept / "evaluation.json"
    options = [str(option) for option in options]
    if not report.exists() or not note.exists() or json.loads(note.read_text()) != options:
        path = pathlib.Path(run_path)
        note.unlink(missing_ok=True)
        run([f"{folder}/diffusevae-evaluate", "--run", path.name, "--runs", str(path.parent), "--fit",
             "--stage", "refined", "--out", str(kept), *options])
        note.write_text(json.dumps(options))
    return [row for row in json.loads(report.read_text())["rows"] if "steps" in row]
