import Foundation
import Testing

/// What users and disks do wrong, and what the commands say to it.
@Suite(.serialized) struct MistakeTests {
  /// Arguments, and a part of the one sentence that they must lead to.
  static let mistakes: [(command: [String], sentence: String)] = [
    (["diffusevae-train"], "--config FILE is needed"),
    (["diffusevae-train", "--config", "none.yaml"], "none.yaml: cannot be read: No such file"),
    (["diffusevae-train", "--config", "bad.yaml"], "bad.yaml:1:7: vae.latnt is not a setting"),
    (["diffusevae-train", "--config", "bad.yaml"], "bad.yaml:2:19: training.lanes must be"),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "vae.latent=0"],
      "--set vae.latent=0: vae.latent must be an integer in 1…65536, not 0"
    ),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "training.vae.batch=2000"],
      "training.vae.batch is 2000, more than the 1500 training images"
    ),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "prior.components=151"],
      "prior.components is 151, more than a tenth of the 1500 latents of digits"
    ),
    (
      [
        "diffusevae-train", "--config", "small.yaml", "--set", "prior.samples=29", "--dry-run",
      ],
      "prior.components is 3, more than a tenth of the 29 latents of digits"
    ),
    (
      [
        "diffusevae-train", "--config", "small.yaml", "--set", "prior.components=1000", "--set",
        "prior.samples=10000000", "--set", "vae.latent=65536",
      ],
      "prior.components is 1000, more than a tenth"
    ),
    (
      [
        "diffusevae-train", "--config", "small.yaml", "--set", "vae={latent: 65536, hidden: []}",
      ],
      "fitting the prior (3 components, covariance full) takes about"
    ),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "data.set=mnist"],
      "no images of the set"
    ),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "data={set: x, folder: idx}"],
      "idx/train-images-idx3-ubyte: "
    ),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "data={set: x, folder: labels}"],
      "labels/train-labels-idx1-ubyte: 3 labels for 2 images"
    ),
    (
      [
        "diffusevae-train", "--config", "small.yaml", "--set",
        "denoiser={kind: unet, channels: [8, 8, 8, 8, 8]}",
      ],
      "multiples of 16; for 8x8x1 give at most 4"
    ),
    (["diffusevae-train", "--config", "small.yaml", "--name", "a/b"], "cannot name a run"),
    (["diffusevae-train", "--config", "small.yaml", "--name=-x"], "cannot name a run"),
    (["diffusevae-train", "--config", "small.yaml", "--runs", ""], "--runs must name a folder"),
    (
      [
        "diffusevae-train", "--config", "small.yaml", "--dry-run", "--set", "denoiser.width=65536",
        "--set", "denoiser.blocks=256",
      ],
      "training stage two takes about"
    ),
    (
      [
        "diffusevae-train", "--config", "small.yaml", "--stage", "vae", "--set",
        "diffusion.formulation=none",
      ],
      "has no VAE to train"
    ),
    (
      ["diffusevae-train", "--config", "small.yaml", "--set", "data={set: x, folder: two}"],
      "images are 1x1x2; they must have 1, 3 or 4 channels"
    ),
    (["diffusevae-train", "--config", "small.yaml", "--runs", "file"], "file: the folder cannot"),
    (["diffusevae-train", "--config", "small.yaml", "--resume"], "leave --config"),
    (["diffusevae-train", "--resume"], "runs: no run that is unfinished here"),
    (["diffusevae-train", "--resume", "small"], "runs/small: no such run"),
    (["diffusevae-train", "--config", "small.yaml", "--threads", "0"], "--threads is 0"),
    (["diffusevae-sample"], "runs: no run that is complete here"),
    (["diffusevae-sample", "--run", "nothing"], "runs/nothing: no such run"),
    (["diffusevae-sample", "--count", "0"], "--count is 0; it must be in 1...1000000"),
    (["diffusevae-sample", "--sampler", "eulre"], "eulre"),
    (["diffusevae-evaluate"], "runs: no run that is complete here"),
    (["diffusevae-evaluate", "--run", "nothing"], "runs/nothing: no such run"),
    (["diffusevae-evaluate", "--count", "3"], "--count is 3; it must be in 4...1000000"),
    (["diffusevae-evaluate", "--steps", "1:3"], "--steps"),
    (["diffusevae-evaluate", "--importance", "0"], "--importance is 0; it must be in 1...1000000"),
    (["diffusevae-evaluate", "--stage", "vae", "--steps", "3"], "--stage vae takes no --steps"),
    (
      ["diffusevae-evaluate", "--stage", "refined", "--prior", "normal", "--prior", "mixture"],
      "--stage refined takes one --prior"
    ),
    (
      ["diffusevae-evaluate", "--samples", "x.npy", "--importance", "5"],
      "--stage, --importance and --corrupt are for a run"
    ),
    (["diffusevae-evaluate", "--out", ""], "--out must name a folder"),
    (["diffusevae-evaluate", "--extractors", ""], "--extractors must name a folder"),
    (["diffusevae-evaluate", "--config", "small.yaml"], "--config is for --fit and --samples"),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--fit", "--count", "5"],
      "measures nothing"
    ),
    (["diffusevae-sample", "--count", "-5"], "--count is -5; it must be in 1...1000000"),
    (["diffusevae-evaluate", "--config", "none.yaml", "--fit"], "none.yaml: cannot be read"),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--run", "a", "--fit"],
      "not together with --run"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--fit", "--threads", "0"],
      "--threads is 0; it must be in 1...1024"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--fit", "--extractors", "file"],
      "file: the folder cannot be made"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--samples", "none.npy"],
      "none.npy: no such file or folder"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--samples", "file"],
      "file: is not an NPY file"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--samples", "idx"],
      "idx: there are no PNG files in this folder"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--samples", "x", "--steps", "3"],
      "--samples takes no --count, --steps, --prior, --likelihood or sampler's option"
    ),
    (
      ["diffusevae-evaluate", "--draws", "5"],
      "--draws and --flow-steps are for --likelihood"
    ),
    (
      ["diffusevae-evaluate", "--config", "small.yaml", "--fit", "--likelihood", "5"],
      "--likelihood is of a run, not of a --config"
    ),
    (["diffusevae-evaluate", "--stage", "vae", "--edits", "1"], "--edits are of a run's refined"),
    (["diffusevae-evaluate", "--corrupt", "blur:6"], "blur:6"),
    (["interpolate"], "--space"),
    (["interpolate", "--space", "z", "--through", "dataset:x"], "dataset:x"),
    (
      ["interpolate", "--space", "z", "--rows", "2", "--through", "a.png"], "would all be the same"
    ),
    (["interpolate", "--space", "z", "--through", "sample:1", "--invert"], "for real images"),
    (["diffusevae-sample", "--from", "dataset:1", "--z", "z.npy"], "give one of them"),
    (["diffusevae-sample", "--invert"], "the images of --from"),
    (["diffusevae-sample", "--strength", "2"], "is of --plus, --minus, --probe or --to-class"),
    (["diffusevae-sample", "--plus", "class:x"], "class:x"),
    (
      ["diffusevae-sample", "--xT", "a.npy", "--noise-temperature", "2"], "for noise that is drawn"
    ),
    (["interpolate", "--space", "xT", "--traverse", "1"], "--traverse is for --space z"),
    (["interpolate", "--space", "z", "--traverse", "1", "--mode", "slerp"], "no --mode"),
    (["interpolate", "--space", "xT", "--through", "a.png", "b.png"], "with --invert"),
    (["interpolate", "--space", "xT", "--through", "z:a.npy"], "does not move through latents"),
    (["interpolate", "--space", "z", "--through", "sample:4294967296"], "sample:4294967296"),
    (
      ["interpolate", "--space", "z", "--through", "a", "b", "--prior", "normal"], "z that is drawn"
    ),
    (["diffusevae-sample", "--stage", "vae", "--share", "xT"], "--stage vae takes no --invert"),
    (["diffusevae-sample", "--from", "a.png", "--prior", "normal"], "for z that is drawn"),
    (["diffusevae-sample", "--stage", "vae", "--xT", "a.npy"], "it has no x_T"),
  ]

  @Test("Every mistake gets a sentence and a non-zero exit", arguments: mistakes.indices)
  func mistake(index: Int) throws {
    let place = try Place()
    defer { place.remove() }
    try place.write("vae: {latnt: 3}\ntraining: {lanes: 0}\n", to: "bad.yaml")
    try place.write("not a folder", to: "file")
    try place.write("no images at all", to: "idx/train-images-idx3-ubyte")
    try place.write(
      [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 7, 9], to: "labels/train-images-idx3-ubyte")
    try place.write([0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 2], to: "labels/train-labels-idx1-ubyte")
    try place.write(
      [0, 0, 8, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9],
      to: "two/train-images-idx3-ubyte")
    let (command, sentence) = Self.mistakes[index]
    let result = try place.run(command[0], Array(command.dropFirst()))
    #expect(result.status != 0 && !result.crashed)
    #expect(result.errors.contains(sentence), "\(result.errors)")
    #expect(result.output.isEmpty)
    #expect(!place.has("runs"))
  }

  @Test("Damaged or foreign files of a run are named, and a run is not touched by failing")
  func damage() throws {
    let place = try Place()
    defer { place.remove() }
    #expect(try place.run("diffusevae-train", "--config", "small.yaml").status == 0)
    #expect(
      try place.run(
        "diffusevae-train", "--config", "small.yaml", "--set", "denoiser.width=20", "--name", "wide"
      ).status == 0)
    let weights = "runs/small/denoiser.safetensors"
    let whole = try place.read(weights)
    func sampling(fails sentence: String, with bytes: [UInt8]) throws {
      try place.write(bytes, to: weights)
      let result = try place.run("diffusevae-sample", "--run", "small", "--out", "x.png")
      #expect(result.status == 1 && !result.crashed)
      #expect(
        result.errors.contains(weights) && result.errors.contains(sentence), "\(result.errors)")
      #expect(!place.has("x.png"))
    }
    try sampling(fails: "bytes", with: Array(whole.prefix(whole.count / 2)))
    try sampling(fails: "bytes", with: [])
    try sampling(
      fails: "was trained under another configuration",
      with: place.read("runs/wide/denoiser.safetensors"))
    try sampling(
      fails: "belongs to another architecture", with: place.read("runs/small/vae.safetensors"))
    try place.write(whole, to: weights)
    #expect(try place.run("diffusevae-sample", "--run", "small", "--out", "x.png").status == 0)

    let nowhere = try place.run("diffusevae-sample", "--out", "none/x.png")
    #expect(nowhere.status == 1 && nowhere.errors.contains("there is no folder"))
    let ending = try place.run("diffusevae-sample", "--out", "x.jpg")
    #expect(ending.status == 1 && ending.errors.contains(".jpg is not known here"))
    let many = try place.run("diffusevae-sample", "--steps", "41")
    #expect(many.status == 1 && many.errors.contains("1...40"))
    let range = try place.run(
      "interpolate", "--space", "z", "--through", "dataset:295", "sample:0", "--rows", "3")
    #expect(range.status == 1 && range.errors.contains("has images 0...296"))

    let tall = try place.run("diffusevae-sample", "--count", "400000", "--out", "x.png")
    #expect(tall.status == 1 && tall.errors.contains("write .npy or a folder"))
    try place.write("x", to: "full/x")
    let full = try place.run("diffusevae-sample", "--out", "full")
    #expect(full.status == 1 && full.errors.contains("full: the folder is not empty"))
    let folder = try place.run("diffusevae-sample", "--out", "runs/x.npy/y.npy")
    #expect(folder.status == 1 && folder.errors.contains("there is no folder runs/x.npy"))
    for flags in [
      ["--sampler", "ddpm", "--eta", "0.5"], ["--variance", "large"], ["--churn", "1"],
      ["--sampler", "heun", "--snr", "0.1"], ["--sampler", "pc", "--tolerance", "0.1"],
      ["--sampler", "pc", "--step-size", "0.1"],
    ] {
      let result = try place.run("diffusevae-sample", flags)
      #expect(result.status == 64 && result.errors.contains("is for --sampler"))
    }
    let unguided = try place.run("diffusevae-sample", "--guidance-from", "0.5")
    #expect(unguided.status == 64 && unguided.errors.contains("for a --guidance other than 0"))
    for flags in [["--steps", "5"], ["--spacing", "uniform"]] {
      let result = try place.run("diffusevae-sample", ["--sampler", "rk45"] + flags)
      #expect(result.status == 64 && result.errors.contains("for samplers other than rk45"))
    }

    let configuration = String(decoding: try place.read("runs/small/config.yaml"), as: UTF8.self)
    for (old, new) in [("latent: 4", "latent: 5"), ("target: original", "target: noise")] {
      try place.write(
        configuration.replacingOccurrences(of: old, with: new), to: "runs/small/config.yaml")
      let other = try place.run("diffusevae-sample", "--run", "small")
      #expect(other.status == 1 && other.errors.contains("trained under another configuration"))
    }
  }
}
