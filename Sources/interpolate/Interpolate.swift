import ArgumentParser
import DiffuseVAE
import SamplingArguments

extension InterpolationSpace: ExpressibleByArgument {}
extension InterpolationMode: ExpressibleByArgument {}

@main
struct Interpolate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "interpolate",
    abstract: "Walks from one image to another, through the VAE's z or the diffusion's x_T.",
    discussion: """
      Every path is two rows of the sheet: what the VAE makes of its frames (x̂0), and below it \
      the refined frames. Along z the structure changes, and x_T and every step's noise are \
      shared; along xT only detail changes, and z is shared. The first frame of path r is \
      image 2r of diffusevae-sample with the same seed.
      """)

  @Option(help: "What to move through.")
  var space: InterpolationSpace

  @OptionGroup var common: SamplingArguments

  @Option(parsing: .unconditional, help: "Frames of a path, both ends included, 2...1000.")
  var frames = 10

  @Option(help: "Straight, or along the great circle; lerp for z and slerp for xT if not given.")
  var mode: InterpolationMode?

  @Option(parsing: .unconditional, help: "Number of paths, 1...1000.")
  var rows = 4

  @Option(
    parsing: .unconditional,
    help:
      "Start the first path at this image of the data set (held-out images), the next at the next.")
  var from: Int?

  @Option(
    parsing: .unconditional,
    help: "End the first path at this image of the data set, the next at the next.")
  var to: Int?

  @Option(
    help: ArgumentHelp(
      "X.png: a sheet; X.npy: the refined frames; no ending: a folder of them. "
        + "interpolation-SPACE.png in the run's folder if not given.", valueName: "path"))
  var out: String?

  func validate() throws {
    guard (1...1000).contains(rows) else {
      throw ValidationError("--rows is \(rows); it must be in 1...1000")
    }
    guard space == .z || to == nil else {
      throw ValidationError("--to is for --space z: an xT path holds z, that of --from")
    }
  }

  func run() throws {
    _ = try Session.begin("interpolate", threads: common.chosen.threads)
    let (run, model, options) = try common.load()
    let path = out ?? "\(run.folder)/interpolation-\(space.rawValue).png"
    let output = try ImageOutput(path)
    let generator = try Generator(model, options)
    let interpolation = try Interpolation(space, mode: mode, frames: frames)
    try output.check(count: 2 * rows * frames, shape: model.shape, columns: frames)
    let first = try from.map { try model.encode(held: $0, count: rows) }
    let last = try to.map { try model.encode(held: $0, count: rows) }
    let paths = try generator.interpolate(
      interpolation, pairs: rows, from: first?.z, to: last?.z,
      labels: generator.labels(from: first?.labels, to: last?.labels))
    try output.write(paths, frames: frames, shape: model.shape)
    print(path)
  }
}
