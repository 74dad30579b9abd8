import ArgumentParser
import CommandSupport
import DiffuseVAE

extension InterpolationSpace: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    [
      "z": "the VAE's latents: what is shown changes",
      "xT": "the noise that refining starts from: detail changes",
      "both": "both at once",
    ]
  }
}
extension InterpolationMode: ExpressibleByArgument {
  public static var allValueDescriptions: [String: String] {
    ["lerp": "straight", "slerp": "along the great circle, which keeps the norm of noise"]
  }
}
extension Anchor: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

@main
struct Interpolate: Command {
  static let configuration = CommandConfiguration(
    commandName: "interpolate",
    abstract: "Walks from image to image, through the VAE's z or the diffusion's x_T.",
    discussion: """
      Every path is two rows of the sheet: what the VAE makes of its frames, and below it \
      the refined frames. Along z the structure changes, and x_T and every step's noise are \
      shared; along xT only detail changes, and z is shared; both moves both. The first frame of \
      path r is image 2r of diffusevae-sample with the same seed, unless --through or --traverse is \
      given.
      """)

  @Option(help: "What to move through; must be given.")
  var space: InterpolationSpace

  @OptionGroup var common: SamplingArguments
  @OptionGroup var sampler: SamplerArguments

  @Option(
    name: .customLong("frames"), parsing: .unconditional,
    help: "Frames from one image to the next, both included, 2...1000. (default: 10)")
  var givenFrames: Int?
  var frames: Int { givenFrames ?? 10 }

  @Option(
    help: "The way from one image to the next. (default: lerp for z and slerp for xT)")
  var mode: InterpolationMode?

  @Option(
    parsing: .unconditional, help: "Number of paths, 1...1000. (default: 4; with --through 1)")
  var rows: Int?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Lead the path through these: sample:3, an image of the seed; dataset:7, a held-out image, \
      counted from 0; \
      a PNG, NPY or NPZ file or a folder of PNGs, each image of them, of the run's size; z:X.npy, each \
      latent of it. \
      Further paths take the next samples and images of the data set. (default: from sample to \
      sample)
      """, valueName: "image"))
  var through: [Anchor] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Move these latents alone, a path for each, from -3 to 3 deviations of N(0, 1); of the first image \
      of --through, or of the seed. By number, from 0; at most 1000. (default: all move at once)
      """, valueName: "latent"))
  var traverse: [Int] = []

  @Flag(help: "Start real images from the x_T that leads back to them, and draw by ddim.")
  var invert = false

  @Option(
    help: ArgumentHelp(
      "X.png: a sheet; X.apng: a film; X.npy, X.npz: the refined frames; no ending: a folder of them. "
        + "(default: interpolation-SPACE.png in the run's folder)", valueName: "path"))
  var out: String?

  func validate() throws {
    guard rows.map((1...1000).contains) ?? true else {
      throw ValidationError("--rows is \(rows ?? 0); it must be in 1...1000")
    }
    guard through.isEmpty || rows ?? 1 == 1 || through.contains(where: \.isNumbered) else {
      throw ValidationError(
        "--rows of files alone would all be the same: name a sample or a dataset image")
    }
    guard
      traverse.isEmpty
        || space == .z && rows == nil && mode == nil && through.count < 2 && traverse.count <= 1000
    else {
      throw ValidationError(
        """
        --traverse is for --space z and takes one image of --through, no --rows and no --mode: it has \
        a straight path for each latent, 1000 at most
        """)
    }
    guard space == .z || invert || !through.contains(where: \.isImage) else {
      throw ValidationError(
        "--space \(space.rawValue) takes real images with --invert: x_T is theirs")
    }
    guard space != .xT || !through.contains(where: \.isLatents) else {
      throw ValidationError("--space xT does not move through latents")
    }
    guard common.prior == nil || through.isEmpty || through.contains(where: \.isSample) else {
      throw ValidationError("--prior is for z that is drawn, not given")
    }
    guard !invert || through.contains(where: \.isImage) else {
      throw ValidationError("--invert is for real images in --through")
    }
  }

  func run() throws {
    let logger = try Session.begin("interpolate", threads: common.chosen.threads)
    let (run, model, options) = try common.load(sampler, inverting: invert)
    let path = out ?? "\(run.folder)/interpolation-\(space.rawValue).png"
    let output = try ImageOutput(path)
    try output.check(count: 1, shape: model.shape)
    let generator = try Generator(model, options)
    let interpolation = try Interpolation(space, mode: mode, frames: frames)
    let paths = try paths(generator)
    let length = interpolation.length(through: paths[0].count)
    try output.check(count: 2 * paths.count * length, shape: model.shape, columns: length)
    let images = try generator.interpolate(interpolation, through: paths)
    try output.write(images, frames: length, shape: model.shape)
    let steps = stepLengths(images.frames, length: length)
    logger.info(
      """
      a frame is \((steps.reduce(0, +) / Double(steps.count)).digits(2)) from the one before it, \
      \((steps.max() ?? 0).digits(2)) at most (Euclidean distance of pixels)
      """)
    try Session.show(path)
  }

  private func paths(_ generator: Generator) throws -> [[Draft]] {
    if !traverse.isEmpty {
      return try generator.traversals(
        of: through.first ?? .sample(0), latents: traverse, inverting: invert)
    }
    return through.isEmpty
      ? try generator.pairs(rows ?? 4)
      : try generator.paths(rows ?? 1, through: through, inverting: invert)
  }
}
