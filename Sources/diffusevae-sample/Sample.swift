import ArgumentParser
import DiffuseVAE
import SamplingArguments

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

  @OptionGroup var common: SamplingArguments
  @OptionGroup var sampler: SamplerArguments

  @Option(parsing: .unconditional, help: "Number of images, 1...1000000.")
  var count = 64

  @Option(
    parsing: .unconditional,
    help: """
      Scales z's deviation from the mean of its prior, or of a mixture's component, or the noise \
      that a diffusion starts from; from 0 up.
      """
  )
  var temperature = 1.0

  @Option(
    parsing: .unconditional,
    help: "Images computed together, 1...65536; with rk45 one. (default: what suits the network)"
  )
  var batch: Int?

  @Option(help: "The VAE alone, or all.")
  var stage = StageChoice.all

  @Option(
    help: ArgumentHelp(
      """
      X.png: one sheet; X.npy: float32 [N, H, W, C] in [0, 1]; no ending: a folder of PNGs. \
      samples.png in the run's folder if not given.
      """, valueName: "path"))
  var out: String?

  func validate() throws {
    guard (1...1_000_000).contains(count) else {
      throw ValidationError("--count is \(count); it must be in 1...1000000")
    }
    guard stage == .all || common.steps == nil && sampler.isEmpty else {
      throw ValidationError("--stage vae takes no sampler and none of its options")
    }
  }

  func run() throws {
    let logger = try Session.begin("diffusevae-sample", threads: common.chosen.threads)
    var (run, model, options) = try common.load(needsDenoiser: stage == .all, sampler)
    let path = out ?? "\(run.folder)/samples.png"
    let output = try ImageOutput(path)
    options.temperature = temperature
    options.batch = batch
    let generator = try Generator(model, options)
    try output.check(count: count, shape: model.shape)
    let images =
      stage == .vae
      ? try generator.reconstructions(0..<count) : try generator.images(0..<count)
    try output.write(images, shape: model.shape)
    if let evaluations = generator.evaluations, evaluations != generator.steps.map(Double.init) {
      logger.info("\(evaluations.digits(1)) evaluations of the network for an image")
    }
    print(path)
  }
}
