import ArgumentParser
import DiffuseVAE
import Diffusion

extension SamplingSettings.Sampler: ExpressibleByArgument {}
extension ReverseVariance: ExpressibleByArgument {}
extension Spacing: ExpressibleByArgument {}

@main
struct Sample: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diffusevae-sample",
    abstract: "Draws images from a trained DiffuseVAE.",
    discussion: """
      Without any option: 64 images of the newest complete run. What is not given is as the run's \
      configuration has it. Image i of a seed is the same image, however many are drawn.
      """)

  enum StageChoice: String, CaseIterable, ExpressibleByArgument { case vae, all }

  @Option(
    name: .customLong("run"), help: "Run, by name or folder; the newest complete one if not given.")
  var runName: String?

  @Option(help: ArgumentHelp("Folder of all runs.", valueName: "folder"))
  var runs = "runs"

  @Option(help: "Number of images, 1...1000000.")
  var count = 64

  @Option(help: "Steps of the sampler, 1 to the steps of the diffusion; exactly so many are taken.")
  var steps: Int?

  @Option(help: "Ancestral sampling (ddpm) or DDIM.")
  var sampler: SamplingSettings.Sampler?

  @Option(help: "Share of fresh noise in DDIM, 0...1.")
  var eta: Double?

  @Option(help: "Variance of the ancestral sampler's steps.")
  var variance: ReverseVariance?

  @Option(help: "Which timesteps are visited.")
  var spacing: Spacing?

  @Option(help: "Standard deviation of the VAE's latents, from 0 up.")
  var temperature = 1.0

  @Option(help: "Seed of all random numbers.")
  var seed: UInt64 = 0

  @Option(help: "Images computed together, 1...65536.")
  var batch = 64

  @Option(help: "The VAE alone, or all.")
  var stage = StageChoice.all

  @Option(help: "Threads. The results do not depend on it.")
  var threads = Session.cores

  @Option(
    help: ArgumentHelp(
      "X.png: one sheet; X.npy: float32 [N, H, W, C] in [0, 1]; no ending: a folder of PNGs. "
        + "samples.png in the run's folder if not given.", valueName: "path"))
  var out: String?

  func validate() throws {
    guard (1...1_000_000).contains(count) else {
      throw ValidationError("--count is \(count); it must be in 1...1000000")
    }
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads is \(threads); it must be in 1...1024")
    }
    let refines = sampler == nil && steps == nil && eta == nil && variance == nil && spacing == nil
    guard stage == .all || refines else {
      throw ValidationError("--stage vae takes no sampler and none of its options")
    }
  }

  func run() throws {
    _ = Session.begin("diffusevae-sample")
    let run = try Run.toSample(runName, in: runs)
    let output = try ImageOutput(out ?? "\(run.folder)/samples.png")
    let model = try Model(of: run, needsDenoiser: stage == .all)
    var options = SamplingOptions(model.configuration.sampling, threads: threads)
    if eta != nil, (sampler ?? options.sampler) == .ddpm {
      throw ValidationError("--eta is for --sampler ddim")
    }
    if variance != nil, (sampler ?? options.sampler) == .ddim {
      throw ValidationError("--variance is for --sampler ddpm")
    }
    options.sampler = sampler ?? options.sampler
    options.steps = steps ?? options.steps
    options.eta = eta ?? options.eta
    options.variance = variance ?? options.variance
    options.spacing = spacing ?? options.spacing
    options.temperature = temperature
    options.seed = seed
    options.batch = batch
    let generator = try Generator(model, options)
    try output.check(count: count, shape: model.shape)
    let images = try stage == .vae
      ? generator.reconstructions(0..<count) : generator.images(0..<count)
    try output.write(images, shape: model.shape)
    print(out ?? "\(run.folder)/samples.png")
  }
}
