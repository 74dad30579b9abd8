"""Runs the commands of this package for the scripts that measure."""
import json
import pathlib
import shutil
import subprocess
import sys
import time


def run(command):
    """What the command prints; ends with its error if it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return result.stdout.strip()


def clocked(note, command):
    """Runs a command, and adds the minutes that it takes to those kept in the file `note`."""
    began = time.time()
    run(command)
    note.write_text(json.dumps(minutes(note) + (time.time() - began) / 60))


def minutes(note):
    return json.loads(note.read_text()) if note.exists() else 0.0


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


def going_on(folder, name, runs, config, sharing=None, files=(), options=()):
    """The run `name` of the text of a configuration, trained unless it has been; what was begun goes on. Of
    another run it takes, if given, the `files` of what is trained alike."""
    path = pathlib.Path(runs) / name
    if not (path / "config.yaml").exists():
        path.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(pathlib.Path(sharing) / file, path / file)
        (path / "config.yaml").write_text(config)
    # On a run that is finished that takes a moment, and reads what is there.
    clocked(path / "minutes.json",
            [f"{folder}/diffusevae-train", "--resume", name, "--runs", runs, *options])
    return path


def evaluated(folder, run_path, out, options):
    """The rows of an evaluation, measured unless that has been: its report is kept in the folder `out`,
    with the options that it is of."""
    kept = pathlib.Path(out)
    note, report = kept / "options.json", kept / "evaluation.json"
    options = [str(option) for option in options]
    if not report.exists() or not note.exists() or json.loads(note.read_text()) != options:
        path = pathlib.Path(run_path)
        note.unlink(missing_ok=True)
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "minutes.json").unlink(missing_ok=True)
        clocked(kept / "minutes.json",
                [f"{folder}/diffusevae-evaluate", "--run", path.name, "--runs", str(path.parent), "--fit",
                 "--out", str(kept), *options])
        note.write_text(json.dumps(options))
    return json.loads(report.read_text())["rows"]


def refined(folder, run_path, out, options):
    """Those of refined images alone."""
    rows = evaluated(folder, run_path, out, ["--stage", "refined", *options])
    return [row for row in rows if "steps" in row]
