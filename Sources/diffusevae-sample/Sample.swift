import ArgumentParser
import CommandSupport
import DiffuseVAE
import Neural

@main
struct Sample: Command {
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
  @OptionGroup var material: MaterialArguments
  @OptionGroup var change: ChangeArguments
  @OptionGroup var restored: RestorationArguments

  @Option(
    parsing: .unconditional,
    help: "Number of images, 1...1000000. (default: 64, or as many as are given)")
  var count: Int?

  @Option(
    name: .customLong("temperature"), parsing: .unconditional,
    help: """
      Scales z's deviation from the mean of its prior, or of a mixture's component, or the noise \
      that a diffusion starts from: a factor from 0 up. (default: 1)
      """
  )
  var givenTemperature: Double?
  var temperature: Double { givenTemperature ?? 1 }

  @Option(
    parsing: .unconditional,
    help: "Images computed together, 1...65536; with rk45 one. (default: what suits the network)"
  )
  var batch: Int?

  @Option(
    name: .customLong("stage"),
    help: "What draws: vae, the VAE alone, or all, both stages. (default: all)")
  var givenStage: StageChoice?
  var stage: StageChoice { givenStage ?? .all }

  @Option(
    help: ArgumentHelp(
      """
      X.png: one sheet; X.apng: a film; X.npy: float32 [N, H, W, C] in [0, 1]; X.npz: that \
      as its array images; no ending: a folder of \
      PNGs. (default: samples.png in the run's folder)
      """, valueName: "path"))
  var out: String?

  func validate() throws {
    guard count.map((1...1_000_000).contains) ?? true else {
      throw ValidationError("--count is \(count ?? 0); it must be in 1...1000000")
    }
    guard change.noiseTemperature == 1 || material.xT == nil && !material.invert else {
      throw ValidationError("--noise-temperature is for noise that is drawn, not given or found")
    }
    guard !material.givesZ || common.prior == nil && temperature == 1 else {
      throw ValidationError("--prior and --temperature are for z that is drawn, not given")
    }
    guard stage == .all || !material.isOfStageTwo && !change.isOfStageTwo else {
      throw ValidationError(
        """
        --stage vae takes no --invert, --xT, --export-xT, --share xT and --noise-temperature: it has \
        no x_T
        """)
    }
    guard restored.isEmpty || material.from != nil && !material.invert else {
      throw ValidationError(
        "--hole, --enlarge, --denoise and --start-at restore images of --from, without --invert")
    }
    guard
      restored.denoise == nil
        || material.xT == nil && material.exportXT == nil && !change.isOfStageTwo
    else {
      throw ValidationError(
        """
        --denoise starts from images as they are: it takes no --xT, --export-xT, --share xT and \
        --noise-temperature
        """)
    }
    guard stage == .all || restored.isEmpty else {
      throw ValidationError("--stage vae restores nothing: that is the second stage's")
    }
    guard stage == .all || common.steps == nil && sampler.isEmpty else {
      throw ValidationError("--stage vae takes no sampler and none of its options")
    }
  }

  /// Frames that a film stands still for at its end: a second.
  private static let standing = 10

  func run() throws {
    let logger = try Session.begin("diffusevae-sample", threads: common.chosen.threads)
    var (run, model, options) = try common.load(
      needsDenoiser: stage == .all, sampler, inverting: material.invert)
    let path = out ?? "\(run.folder)/samples.png"
    let output = try ImageOutput(path)
    options.temperature = temperature
    (options.noiseTemperature, options.corruption) = (change.noiseTemperature, change.corrupt)
    options.batch = batch
    options.restoration = try restored.restoration(for: model)
    let generator = try Generator(model, options)
    let given = try material.read(
      for: model, count: count, times: restored.enlarge ?? 1)
    if stage == .all, output.isFilm {
      let frames = try generator.checkFilm(count: given.count) + Self.standing
      try output.check(count: frames * given.count, shape: model.shape, columns: frames)
    } else {
      try output.check(count: given.count, shape: model.shape)
    }
    let direction = try change.direction(for: model, threads: common.chosen.threads)
    try material.checkExports(shape: model.shape, besides: path)
    let way = try change.way(for: model, threads: common.chosen.threads)
    let drafts = change.apply(
      direction, way, to: try given.drafts(by: generator, inverting: material.invert))
    if material.z != nil, model.configuration.classes > 0, common.label == nil {
      logger.notice("the latents are drawn as of all classes in turn: --label says which is theirs")
    }
    try material.export(drafts, shape: model.shape)
    let images: Matrix
    if stage == .all, output.isFilm {
      let frames = try generator.denoising(drafts)
      images = frames[frames.count - 1]
      let end = [Matrix](repeating: images, count: Self.standing - 1)
      try output.write(film: frames + end, shape: model.shape)
    } else {
      images = stage == .vae ? try generator.reconstructions(drafts) : try generator.refine(drafts)
      try output.write(images, shape: model.shape)
    }
    // Of images in files that are restored, it is not known how they should be.
    if let originals = given.images, restored.isEmpty || material.isOfDataSet && restored.keepsPart
    {
      let ratios = peakSignalToNoise(images, originals.pixels(0..<originals.count))
      logger.info(
        """
        PSNR to the given images: \(sampleMean(ratios).mean.digits(1)) dB on average, \
        \((ratios.min() ?? .nan).digits(1)) dB at least
        """)
    }
    if let evaluations = generator.evaluations, evaluations != generator.steps.map(Double.init) {
      logger.info("\(evaluations.digits(1)) evaluations of the network for an image")
    }
    try Session.show(path)
  }
}

extension ImageSource: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}
