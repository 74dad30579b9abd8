import Foundation
import Testing

/// The built commands, run as a user runs them.
@Suite(.serialized) struct CommandTests {
  static let settings = """
    vae: {hidden: [16], latent: 4}
    prior: {components: 3}
    diffusion: {steps: 40}
    denoiser: {width: 16, blocks: 1, embedding: 8}
    training:
      vae: {steps: 20, batch: 50}
      denoiser: {steps: 20, batch: 50}
      grids: 2
    sampling: {steps: 4}
    """

  @Test("Train, sample and interpolate with nothing but their defaults")
  func wholeRoad() throws {
    let place = try Place()
    defer { place.remove() }
    let trained = try place.run("diffusevae-train", "--config", "small.yaml")
    #expect(trained.status == 0, "\(trained.errors)")
    #expect(trained.output == "runs/small\n")
    #expect(trained.errors.contains("ELBO of the test images"))
    #expect(trained.errors.contains("prior: 3 components, ln p(z) -"))
    #expect(trained.errors.contains("swift run diffusevae-sample --run runs/small"))

    let sampled = try place.run("diffusevae-sample")
    #expect(sampled.output == "runs/small/samples.png\n", "\(sampled.errors)")
    // What training drew last, from what it had in memory.
    #expect(
      try place.read("runs/small/samples.png")
        == place.read("runs/small/samples/denoiser-0000020.png"))
    let first = try place.run("diffusevae-sample", "--out", "a.npy", "--count", "3")
    #expect(first.status == 0)
    // 3 images of 8×8 floats behind a header of 128 bytes.
    #expect(try place.size("a.npy") == 128 + 3 * 64 * 4)
    #expect(try place.run("diffusevae-sample", "--out", "many", "--count", "3").status == 0)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: place.folder + "/many").count == 3)

    let asked = try place.run("diffusevae-sample", "--sampler", "heun", "--steps", "3")
    #expect(asked.errors.contains("5.0 evaluations of the network for an image"), "\(asked.errors)")
    #expect(!sampled.errors.contains("evaluations"))

    for space in ["z", "xT"] {
      let path = try place.run("interpolate", "--space", space)
      #expect(path.output == "runs/small/interpolation-\(space).png\n", "\(path.errors)")
    }
    let between = try place.run(
      "interpolate", "--space", "z", "--through", "dataset:0", "dataset:5", "--rows", "2",
      "--frames", "3",
      "--out", "b.npy")
    #expect(between.status == 0, "\(between.errors)")
    #expect(try place.size("b.npy") == 128 + 6 * 64 * 4)

    // A second run of the same file gets a number; nothing is overwritten.
    #expect(try place.run("diffusevae-train", "--config", "small.yaml").output == "runs/small-2\n")
    let taken = try place.run("diffusevae-train", "--config", "small.yaml", "--name", "small")
    #expect(taken.status == 1)
    #expect(taken.errors.contains("runs/small is there already"))
  }

  @Test("Stages can be trained one by one, and give what training both at once gives")
  func stages() throws {
    let place = try Place()
    defer { place.remove() }
    let early = try place.run("diffusevae-train", "--config", "small.yaml", "--stage", "diffusion")
    #expect(early.errors.contains("no run that has finished stage one"))
    #expect(
      try place.run("diffusevae-train", "--config", "small.yaml", "--name", "all").status == 0)
    let first = ["--config", "small.yaml", "--name", "two", "--stage", "vae"]
    #expect(try place.run("diffusevae-train", first).status == 0)
    let half = try place.run("diffusevae-sample", "--run", "two")
    #expect(half.status == 1)
    #expect(half.errors.contains("denoiser.safetensors is missing"))
    #expect(try place.run("diffusevae-sample", "--run", "two", "--stage", "vae").status == 0)
    #expect(place.has("runs/two/prior.safetensors"))
    let second = ["--config", "small.yaml", "--name", "two", "--stage", "diffusion"]
    #expect(try place.run("diffusevae-train", second).status == 0)
    for file in ["vae.safetensors", "prior.safetensors", "denoiser.safetensors"] {
      #expect(try place.read("runs/all/\(file)") == place.read("runs/two/\(file)"))
    }
  }

  @Test("Ctrl-C writes a checkpoint; resuming ends with the bits of a run never stopped")
  func interruption() throws {
    let place = try Place()
    defer { place.remove() }
    let steps = ["--set", "training.vae.steps=6000", "--set", "training.denoiser.steps=6000"]
    let arguments = ["--config", "small.yaml"] + steps
    #expect(try place.run("diffusevae-train", arguments + ["--name", "whole"]).status == 0)
    for (signal, stage) in [(SIGINT, "vae"), (SIGTERM, "denoiser")] {
      let process = try place.start("diffusevae-train", arguments + ["--name", stage])
      // The first grid of the stage shows that it is under way.
      let grid = "runs/\(stage)/samples/\(stage)-0003000.png"
      for _ in 0..<30_000 where !place.has(grid) { usleep(2000) }
      kill(process.processIdentifier, signal)
      process.waitUntilExit()
      #expect(process.terminationStatus == (signal == SIGINT ? 130 : 143))
      #expect(place.has("runs/\(stage)/state/\(stage).safetensors"))
      // A checkpoint that is cut short is named; without one before it, it is refused.
      let state = "runs/\(stage)/state/\(stage).safetensors"
      let before = "runs/\(stage)/state/\(stage)-previous.safetensors"
      let previous = try place.read(before)
      try place.write(Array(try place.read(state).dropLast(5)), to: state)
      try FileManager.default.removeItem(atPath: "\(place.folder)/\(before)")
      let damaged = try place.run("diffusevae-train", "--resume", stage)
      #expect(damaged.status == 1 && !damaged.crashed)
      #expect(damaged.errors.contains(state) && damaged.errors.contains("bytes"))
      try place.write(previous, to: before)

      let resumed = try place.run("diffusevae-train", "--resume")
      #expect(resumed.status == 0, "\(resumed.errors)")
      #expect(resumed.errors.contains("going on from a checkpoint before it"))
      #expect(resumed.errors.contains("going on from step"))
      #expect(!place.has(state) && !place.has(before))
      for file in ["vae.safetensors", "prior.safetensors", "denoiser.safetensors"] {
        #expect(try place.read("runs/whole/\(file)") == place.read("runs/\(stage)/\(file)"))
      }
    }
  }

  @Test("Some minutes at a time, the same command again and again ends with the same bits")
  func pieces() throws {
    let place = try Place()
    defer { place.remove() }
    let arguments = ["--config", "small.yaml", "--set", "training.denoiser.steps=200"]
    #expect(try place.run("diffusevae-train", arguments + ["--name", "whole"]).status == 0)
    let again = arguments + ["--resume", "auto", "--max-time"]
    // A microsecond is over after any step.
    for step in 1...3 {
      let piece = try place.run("diffusevae-train", again + ["0.00000002"])
      #expect(piece.status == 75 && piece.errors.contains("go on with"), "\(piece.errors)")
      #expect(piece.errors.contains("stopped after step \(step) of 20"))
    }
    let last = try place.run("diffusevae-train", again + ["60"])
    #expect(last.status == 0 && !place.has("runs/small-2"), "\(last.errors)")
    for file in ["vae.safetensors", "prior.safetensors", "denoiser.safetensors"] {
      #expect(try place.read("runs/whole/\(file)") == place.read("runs/small/\(file)"))
    }
    let other = try place.run(
      "diffusevae-train", "--config", "small.yaml", "--resume", "auto", "--set", "vae.latent=5")
    #expect(other.status == 1 && other.errors.contains("give another --name"))
    #expect(try place.run("diffusevae-train", "--resume", "auto").errors.contains("--config FILE"))
    #expect(try place.run("diffusevae-train", again + ["0"]).status == 64)
  }

  @Test("Runs are listed and compared, and the machine is described")
  func looking() throws {
    let place = try Place()
    defer { place.remove() }
    #expect(try place.run("diffusevae-train", "list").errors.contains("no run here"))
    for (name, latent) in [("a", "4"), ("b", "5")] {
      let result = try place.run(
        "diffusevae-train", "--config", "small.yaml", "--name", name, "--set",
        "vae.latent=\(latent)", "--stage", name == "a" ? "all" : "vae")
      #expect(result.status == 0, "\(result.errors)")
    }
    let list = try place.run("diffusevae-train", "list")
    let rows = list.output.split(separator: "\n").map(String.init)
    #expect(list.status == 0 && rows.count == 4)
    #expect(rows[2].hasPrefix("| b | digits | concat | mlp | vae, prior |"))
    #expect(rows[3].hasPrefix("| a | digits | concat | mlp | vae, prior, denoiser |"))
    let comparison = try place.run("diffusevae-train", "compare", "a", "b")
    #expect(comparison.output.contains("| vae.latent | 4 | 5 |"), "\(comparison.errors)")
    #expect(!comparison.output.contains("vae.hidden"))
    #expect(try comparison.output.contains(Regex(#"\| vae loss \| [\d.]+ \| [\d.]+ \|"#)))
    #expect(try comparison.output.contains(Regex(#"\| denoiser loss \| [\d.]+ \|  \|"#)))
    let same = try place.run("diffusevae-train", "compare", "a", "a")
    #expect(!same.output.contains("setting"))
    #expect(
      try place.run("diffusevae-train", "compare", "a", "c").errors.contains("no such run"))
    let doctor = try place.run("diffusevae-train", "doctor")
    #expect(doctor.status == 0 && doctor.output.contains("OpenBLAS: "), "\(doctor.errors)")
  }

  @Test("Which weights are kept is said, where images are held out to choose them")
  func validation() throws {
    let place = try Place()
    defer { place.remove() }
    let result = try place.run(
      "diffusevae-train", "--config", "small.yaml", "--set", "data.validation=100")
    #expect(result.status == 0, "\(result.errors)")
    for stage in ["stage one", "stage two"] {
      #expect(result.errors.contains("\(stage): the weights after step "))
    }
  }

  @Test("A dry run says what it would cost, and writes nothing")
  func dryRun() throws {
    let place = try Place()
    defer { place.remove() }
    let result = try place.run("diffusevae-train", "--config", "small.yaml", "--dry-run")
    #expect(result.status == 0, "\(result.errors)")
    // 64·16 + 16 + 16·8 + 8 + 4·16 + 16 + 16·64 + 64
    #expect(result.output.contains("stage one: 2344 parameters, 20 steps"))
    #expect(result.output.contains("latent: 4"))
    #expect(
      result.output.contains("prior: a mixture, fitted after stage one; its time is not estimated"))
    #expect(!place.has("runs"))
  }

  @Test("z is drawn from the fitted prior, whose file is needed unless N(0, I) is asked for")
  func prior() throws {
    let place = try Place()
    defer { place.remove() }
    #expect(try place.run("diffusevae-train", "--config", "small.yaml").status == 0)
    func images(_ arguments: String...) throws -> [UInt8] {
      let result = try place.run("diffusevae-sample", ["--out", "x.npy"] + arguments)
      #expect(result.status == 0, "\(result.errors)")
      return try place.read("x.npy")
    }
    let (mixture, normal) = (try images(), try images("--prior", "normal"))
    #expect(mixture != normal)
    #expect(try images("--prior", "mixture") == mixture)
    #expect(try images("--stage", "vae") != images("--stage", "vae", "--prior", "normal"))

    let file = "runs/small/prior.safetensors"
    let whole = try place.read(file)
    for bytes in [[], Array(whole.dropLast(4)), try place.read("runs/small/vae.safetensors")] {
      try place.write(bytes, to: file)
      let damaged = try place.run("diffusevae-sample", "--run", "small")
      #expect(damaged.status == 1 && !damaged.crashed)
      #expect(damaged.errors.contains(file), "\(damaged.errors)")
    }
    try place.delete(file)
    let missing = try place.run("diffusevae-sample", "--run", "small")
    #expect(missing.status == 1)
    #expect(missing.errors.contains("prior.safetensors is missing; finish it with: swift run"))
    #expect(try images("--run", "small", "--prior", "normal") == normal)
    // It is what the newest unfinished run lacks.
    let resumed = try place.run("diffusevae-train", "--resume")
    #expect(resumed.status == 0 && resumed.errors.contains("prior: 3"), "\(resumed.errors)")
    #expect(try place.read(file) == whole)

    let plain = ["--config", "small.yaml", "--name", "plain", "--set", "prior.kind=normal"]
    #expect(try place.run("diffusevae-train", plain).status == 0)
    #expect(!place.has("runs/plain/prior.safetensors"))
    #expect(try images() == normal)
    let none = try place.run("diffusevae-sample", "--run", "plain", "--prior", "mixture")
    #expect(none.status == 1 && none.errors.contains("its configuration says prior.kind normal"))
  }

  @Test("A run goes on with the images that it began with only")
  func otherImages() throws {
    let place = try Place()
    defer { place.remove() }
    func write(side: UInt8, factor: Int = 7) throws {
      let header: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, side, 0, 0, 0, side]
      let pixels = (0..<60 * Int(side) * Int(side)).map { UInt8(truncatingIfNeeded: $0 * factor) }
      try place.write(header + pixels, to: "set/train-images-idx3-ubyte")
    }
    func refuse(_ sentence: String) throws {
      let result = try place.run("diffusevae-train", "--resume", "a")
      #expect(result.status == 1 && !result.crashed)
      #expect(result.errors.contains(sentence), "\(result.errors)")
    }
    try write(side: 4)
    let set = ["--config", "small.yaml", "--set", "data={set: s, folder: set}", "--name", "a"]
    #expect(try place.run("diffusevae-train", set + ["--stage", "vae"]).status == 0)
    try write(side: 5)
    try refuse("not of the size that the run was trained on")
    try write(side: 4, factor: 9)
    try refuse("runs/a: was trained on other images than those of s now")
    // And from a checkpoint.
    try write(side: 4)
    let process = try place.start(
      "diffusevae-train",
      set.dropLast(2) + ["--set", "training.vae.steps=100000000", "--name", "b"])
    for _ in 0..<1000 where !place.has("runs/b/metrics.jsonl") { usleep(10_000) }
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    try write(side: 4, factor: 9)
    let result = try place.run("diffusevae-train", "--resume", "b")
    #expect(result.errors.contains("runs/b/state/vae.safetensors: was trained on other images"))
    try write(side: 4)
    #expect(try place.run("diffusevae-train", "--resume", "a").status == 0)
  }

  @Test("A run is trained by one process at a time, and two new runs never share a folder")
  func twoAtOnce() throws {
    let place = try Place()
    defer { place.remove() }
    let long = ["--config", "small.yaml", "--set", "training.vae.steps=100000000"]
    let processes = try (0..<3).map { _ in try place.start("diffusevae-train", long) }
    for name in ["small", "small-2", "small-3"] {
      for _ in 0..<1000 where !place.has("runs/\(name)/metrics.jsonl") { usleep(10_000) }
      #expect(place.has("runs/\(name)/metrics.jsonl"))
    }
    let second = try place.run("diffusevae-train", "--resume", "small")
    #expect(second.status == 1)
    #expect(second.errors.contains("another diffusevae-train is at work on this run"))
    for process in processes {
      kill(process.processIdentifier, SIGTERM)
      process.waitUntilExit()
      #expect(process.terminationStatus == 143)
    }
  }

  @Test("A closed or full stderr, and a reader that goes away, do not end a training")
  func noListener() throws {
    let place = try Place()
    defer { place.remove() }
    let train = Place.command("diffusevae-train") + " --config small.yaml"
    for ending in ["2>&-", "2>/dev/full", "2>&1 | head -n 1", ">&- 2>&-"] {
      let result = try place.shell("\(train) \(ending)")
      #expect(!result.crashed)
    }
    for name in ["small", "small-2", "small-3", "small-4"] {
      for _ in 0..<500 where !place.has("runs/\(name)/denoiser.safetensors") { usleep(10_000) }
      #expect(place.has("runs/\(name)/denoiser.safetensors"), "\(name)")
    }
  }

  @Test("A full disk is a sentence, and leaves what stood before")
  func fullDisk() throws {
    let place = try Place()
    defer { place.remove() }
    #expect(try place.run("diffusevae-train", "--config", "small.yaml").status == 0)
    #expect(try place.run("diffusevae-sample", "--out", "x.npy", "--count", "2").status == 0)
    let before = try place.read("x.npy")
    // Files may have 1 KiB at most here: the next array does not fit. Nor would what a process tells
    // of its coverage, which half written spoils the rest.
    let limits = "export LLVM_PROFILE_FILE=/dev/null; ulimit -f 1; exec"
    let full = try place.shell(
      "\(limits) \(Place.command("diffusevae-sample")) --out x.npy --count 64")
    #expect(full.status == 74 && !full.crashed, "\(full.errors)")
    #expect(full.errors.contains("x.npy: cannot be written: File too large"))
    #expect(try place.read("x.npy") == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.folder).count == 3)
    let training = try place.shell(
      "\(limits) \(Place.command("diffusevae-train")) --config small.yaml")
    #expect(training.status == 74 && !training.crashed)
    #expect(training.errors.contains("cannot be written"))
  }

  @Test("OpenBLAS's kernels are those of OPENBLAS_CORETYPE; without it, those of the processor")
  func kernels() throws {
    let place = try Place()
    defer { place.remove() }
    let train = Place.command("diffusevae-train") + " --config small.yaml --stage vae"
    let pinned = try place.shell("OPENBLAS_CORETYPE=Prescott \(train)")
    #expect(pinned.errors.contains("OpenBLAS Prescott, by OPENBLAS_CORETYPE=Prescott, "))
    let free = try place.shell("unset OPENBLAS_CORETYPE; \(train)")
    let flags = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    #expect(free.status == 0 && free.errors.contains("OpenBLAS "), "\(free.errors)")
    #expect(!free.errors.contains("OpenBLAS Prescott") || !flags.contains(" avx2 "))
  }
}
