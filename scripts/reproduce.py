"""What scripts/reproduce-paper does: reproduce.py FOLDER_OF_COMMANDS RUNS OUT short|long"""
import datetime
import math
import pathlib
import sys
import time

import commands

FORMULATIONS = {"concat": "Formulation 1", "centred": "Formulation 2", "residual": "residual",
                "none": "unconditional"}
KINDS = ["noise", "blur", "pixelate", "occlude", "salt-pepper"]
# Under OUT, and where they lie beside the document in the repository.
PICTURES = "docs/images/reproduction"


class Size:
    """How much is trained and measured."""

    def __init__(self, is_short):
        if is_short:
            self.name = "digits"
            self.data, self.prior = "data: {set: digits}\n", 20
            self.network = "denoiser: {width: 128}\nvae: {hidden: [128], latent: 8}\n"
            self.training = ("training:\n  vae: {epochs: 40, batch: 100}\n"
                             "  denoiser: {epochs: 30, batch: 50}\n")
            self.count, self.steps, self.components = 100, "2,5", [5, 20]
            self.few, self.paths, self.levels, self.damaged = 5, 20, [3], 24
        else:
            self.name = "MNIST"
            self.data, self.prior = "data: {set: mnist}\n", 200
            self.network = "denoiser: {kind: unet}\n"
            self.training = ("training:\n  denoiser: {epochs: 2, batch: 32, rate: 2e-3, "
                             "final_ratio: 0.02}\n")
            self.count, self.steps = 5000, "5,10,25:1000,50:500,100:500,1000:100"
            self.components = [50, 100, 200, 400]
            self.few, self.paths, self.levels, self.damaged = 10, 1000, [1, 2, 3, 4, 5], 500

    def config(self, formulation, components=None, extra="", plan="two-stage"):
        return (f"{self.data}prior: {{components: {components or self.prior}}}\n"
                f"diffusion: {{formulation: {formulation}{extra}}}\nsampling: {{sampler: plms}}\n{self.network}"
                + self.training.replace("training:\n", f"training:\n  plan: {plan}\n"))


class Reproduction:
    def __init__(self, folder, runs, out, size):
        self.folder, self.runs, self.out, self.size = folder, runs, pathlib.Path(out), size
        self.sections, self.began = [], time.time()
        self.trainings = {}  # By the run's name: its configuration, and minutes.
        (self.out / PICTURES).mkdir(parents=True, exist_ok=True)

    def trained(self, name, config, files=("vae.safetensors", "prior.safetensors", "latents.json"),
                options=()):
        """Of the run `concat` it takes stage one, all but itself and the unconditional one."""
        files = () if name in ("concat", "none") else files
        path = commands.going_on(
            self.folder, name, self.runs, config, f"{self.runs}/concat", files, options)
        self.trainings[name] = (config, commands.minutes(path / "minutes.json"))
        return path

    def say(self, text):
        """Writes the document as far as it is: what stops here goes on there."""
        self.sections.append(text)
        (self.out / "REPRODUCTION.md").write_text("\n".join(self.sections) + "\n")
        print(text, flush=True)

    def picture(self, name, command, *options):
        path = self.out / PICTURES / f"{name}.png"
        if not path.exists():
            commands.run([f"{self.folder}/{command}", "--run", "concat", "--runs", self.runs, "--out",
                          str(path), *options])
        return f"![{name}]({PICTURES}/{name}.png)"

    def speed(self):
        size, curves, lines = self.size, {}, []
        counts = [part.split(":")[0] for part in size.steps.split(",")]
        images = [(part.split(":") + [size.count])[1] for part in size.steps.split(",")]
        heads = [f"{n} steps, {count} images" for n, count in zip(counts, images)]
        lines.append("| model | sampler | " + " | ".join(heads) + " | minutes |")
        lines.append("|---|---|" + "---|" * (len(counts) + 1))
        for formulation, title in FORMULATIONS.items():
            run = self.trained(formulation, size.config(formulation))
            # The papers' two; and the one that needs the fewest steps, where they are few.
            for sampler, steps in [("ddim", size.steps), ("ddpm", size.steps), ("plms", size.few)]:
                out = run / f"reproduction-{sampler}"
                rows = commands.refined(
                    self.folder, run, out,
                    ["--count", size.count, "--steps", steps, "--sampler", sampler])
                found = {str(row["steps"]): row["scores"]["frechet"] for row in rows}
                curves[f"{title}, {sampler}"] = [(int(n), x) for n, x in found.items()]
                cells = " | ".join(f"{found[n]:.3f}" if n in found else "" for n in counts)
                took = commands.minutes(out / "minutes.json")
                lines.append(f"| {title} | {sampler} | {cells} | {took:.1f} |")
        (self.out / PICTURES / "speed.svg").write_text(plot(curves))
        few = [dict(curves[f"{title}, {sampler}"])[size.few] for sampler in ["ddim", "plms"]
               for title in ["unconditional", "Formulation 1"]]
        self.say("## Speed against quality\n\nFréchet distances, which are larger by fewer images: they compare "
                 "within a column.\n\n" + "\n".join(lines)
                 + f"\n\nIn {size.few} steps of DDIM the unconditional model is {few[0] / few[1]:.1f} times as "
                 f"far as Formulation 1, of PLMS {few[2] / few[3]:.1f} times.\n\n"
                 f"![distance by steps]({PICTURES}/speed.svg)\n")

    def prior(self):
        size = self.size
        run = pathlib.Path(self.runs) / "concat"
        found = {}
        for prior in ["mixture", "normal"]:
            rows = commands.evaluated(
                self.folder, run, run / f"reproduction-prior-{prior}",
                ["--count", size.count, "--steps", size.few, "--prior", prior])
            found[prior] = [next(row["scores"]["frechet"] for row in rows
                                 if row["images"].startswith(f"{kind}, prior {prior}"))
                            for kind in ["VAE alone", "DiffuseVAE"]]
        table = "\n".join(f"| {prior} | {a:.3f} | {b:.3f} |" for prior, (a, b) in found.items())
        ratios = [found["normal"][i] / found["mixture"][i] for i in range(2)]
        lines = []
        for components in size.components:
            other = self.trained(
                f"K-{components}", size.config("concat", components=components),
                ["vae.safetensors"], ["--stage", "vae"])
            rows = commands.evaluated(
                self.folder, other, other / "reproduction-prior",
                ["--count", size.count, "--stage", "vae"])
            distance = next(row["scores"]["frechet"] for row in rows
                            if row["images"] == "VAE alone, prior mixture")
            lines.append(f"| {components} | {distance:.3f} |")
        self.say(f"## The fitted prior\n\nFréchet distances, {size.few} steps.\n\n"
                 "| prior | VAE alone | DiffuseVAE |\n|---|---|---|\n" + table
                 + f"\n\nIt divides the distance by {ratios[0]:.1f} and by {ratios[1]:.1f}.\n\n"
                 "| K | VAE alone |\n|---|---|\n" + "\n".join(lines) + "\n")

    def pictures(self):
        vae = self.picture("generated", "diffusevae-sample", "--stage", "vae")
        refined = self.picture("refined", "diffusevae-sample", "--steps", str(self.size.few))
        z = self.picture("through-z", "interpolate", "--space", "z")
        noise = self.picture("through-xT", "interpolate", "--space", "xT")
        self.say("## Generator and refiner\n\n| z decoded | the same, refined |\n|---|---|\n"
                 f"| {vae} | {refined} |\n\n## Paths\n\n| through z | through x_T |\n|---|---|\n"
                 f"| {z} | {noise} |\n")

    def paths(self):
        size, run = self.size, pathlib.Path(self.runs) / "concat"
        rows = commands.evaluated(
            self.folder, run, run / "reproduction-paths",
            ["--stage", "refined", "--steps", f"{size.few}:100", "--paths", size.paths, "--edits", "0.75",
             "1", "1.25"])
        lines = [f"| {row['images']} | {row['scores']['labels']:.3f} | {row['moved']:.3f} | "
                 + (f"{row['code']:.3f}" if row.get("code") is not None else "") + " |"
                 for row in rows if row["images"].startswith(("paths", "moved"))]
        self.say("Of a path, the share of frames that keep the first one's class; of images moved to "
                 "another class, of those that reach it. How far pixels and the VAE's code move, over how "
                 "far other images are.\n\n| | class | pixels | code |\n|---|---|---|---|\n"
                 + "\n".join(lines) + "\n")

    def robustness(self):
        size = self.size
        plain = pathlib.Path(self.runs) / "concat"
        noised = self.trained("noised", size.config("concat", extra=", condition_noise: 0.6"))
        lines, all_damages = [], {level: [] for level in size.levels}
        for kind in KINDS:
            for level in size.levels:
                damages = []
                for run in [plain, noised]:
                    def distance(name, *options):
                        rows = commands.refined(
                            self.folder, run, run / f"reproduction-{name}",
                            ["--count", size.damaged, "--steps", size.few, *options])
                        return rows[0]["scores"]["frechet"]
                    damage = distance(f"{kind}-{level}", "--corrupt", f"{kind}:{level}")
                    damages.append(damage - distance("clean"))
                all_damages[level].append(damages)
                lines.append(damaged_line(kind, level, damages))
        # A kind that does much damage counts more in these.
        for level, found in all_damages.items():
            means = [sum(column) / len(KINDS) for column in zip(*found)]
            lines.append(damaged_line("mean of the five", level, means))
        self.say("## Damaged x̂0\n\nHow much farther images are when x̂0 is damaged before it is refined: of "
                 f"the model as it is, and of one trained with `condition_noise: 0.6`; {size.damaged} images.\n\n"
                 "| damage | level | as it is | trained on noise | less |\n|---|---|---|---|---|\n"
                 + "\n".join(lines) + "\n")

    def runs_table(self):
        base = self.size.config("concat").splitlines()
        lines = []
        for name, (config, minutes) in self.trainings.items():
            other = "; ".join(line.strip() for line in config.splitlines() if line not in base)
            lines.append(f"| `{name}` | {f'`{other}`' if other else ''} | {minutes:.1f} |")
        self.say("## Runs\n\nWhat stands in a run's configuration in place of a line above, and the minutes "
                 "that its training took; all but `concat`, `none`, `joint` and `alternating` have stage one "
                 "of `concat`.\n\n| run | other | minutes |\n|---|---|---|\n" + "\n".join(lines) + "\n")

    def together(self):
        size, lines = self.size, []
        for plan in ["two-stage", "joint", "alternating"]:
            name = "concat" if plan == "two-stage" else plan
            run = self.trained(name, size.config("concat", plan=plan), files=())
            rows = commands.evaluated(
                self.folder, run, run / "reproduction-plan",
                ["--count", size.count, "--steps", size.few])
            found = [next(row["scores"]["frechet"] for row in rows if row["images"].startswith(kind))
                     for kind in ["reconstructions of", "VAE alone", "DiffuseVAE"]]
            cells = " | ".join(f"{x:.3f}" for x in found)
            lines.append(f"| {plan} | {cells} |")
        self.say("## Two stages against one\n\nThe VAE first and then, with that frozen, the denoiser; both at "
                 "once, by the sum of their losses; or by updates of either in turn, each in half of them. "
                 "Fréchet distances of the VAE's reconstructions, of its own images, and of refined ones in "
                 f"{size.few} steps.\n\n| plan | reconstructions | VAE alone | refined |\n"
                 "|---|---|---|---|\n" + "\n".join(lines) + "\n")


def damaged_line(kind, level, damages):
    share = 1 - damages[1] / damages[0]
    return f"| {kind} | {level} | {damages[0]:.3f} | {damages[1]:.3f} | {share:.0%} |"


def plot(curves):
    """Distances by steps, both axes logarithmic, as SVG."""
    width, height, left, bottom, right = 680, 360, 60, 40, 230
    points = [point for curve in curves.values() for point in curve]
    xs, ys = [math.log10(x) for x, _ in points], [math.log10(max(y, 1e-9)) for _, y in points]
    low, high = math.floor(min(ys)), math.ceil(max(ys))

    def x(steps):
        share = (math.log10(steps) - min(xs)) / max(max(xs) - min(xs), 1e-9)
        return left + (width - left - right) * share

    def y(distance):
        share = (high - math.log10(max(distance, 1e-9))) / max(high - low, 1)
        return 10 + (height - bottom - 10) * share

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for power in range(low, high + 1):
        lines.append(f'<line x1="{left}" x2="{width - right}" y1="{y(10 ** power):.1f}" '
                     f'y2="{y(10 ** power):.1f}" stroke="#ddd"/><text x="{left - 6}" '
                     f'y="{y(10 ** power) + 4:.1f}" text-anchor="end">{10.0 ** power:g}</text>')
    for steps in sorted({steps for steps, _ in points}):
        lines.append(f'<text x="{x(steps):.1f}" y="{height - bottom + 18}" '
                     f'text-anchor="middle">{steps}</text>')
    colours = ["#1b6ca8", "#c4541b", "#2f8f4e", "#8a3fa0"]
    for number, (name, curve) in enumerate(curves.items()):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in curve)
        if len(curve) < 2:
            continue
        dash = ' stroke-dasharray="4 3"' if "ddpm" in name else ""
        colour, top = colours[number // 3 % 4], 24 + 12 * number
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
                     f'<text x="{width - right + 12}" y="{top}" fill="{colour}">{name}'
                     f'{" (dashed)" if dash else ""}</text>')
    lines.append(f'<text x="{left}" y="{height - 6}">Fréchet distance by steps</text></svg>')
    return "\n".join(lines) + "\n"


def main():
    folder, runs, out, length = sys.argv[1:]
    size = Size(length == "short")
    work = Reproduction(folder, runs, out, size)
    work.say(f"# The paper's claims, on {size.name}\n\nWritten by `scripts/reproduce-paper"
             f"{' --short' if length == 'short' else ''}` on {datetime.date.today()}; seed 0. Every run is "
             f"of this configuration, with its `formulation` and what a section says:\n\n```yaml\n"
             f"{size.config('concat')}```\n")
    for part in [work.speed, work.prior, work.pictures, work.paths, work.robustness, work.together,
                 work.runs_table]:
        part()
    work.say(f"{(time.time() - work.began) / 60:.0f} minutes, less what had been measured before.")


main()
