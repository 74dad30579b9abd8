import ArgumentParser
import CommandSupport
import DiffuseVAE
import Formats
import Neural

/// The options for what images are made of, where that is not drawn.
struct MaterialArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Encode and refine real images of the run's size (or smaller, see --enlarge): dataset:7, that \
      held-out image, counted from 0, and those after it up to --count; class:3, training images of a \
      class; a PNG, NPY or NPZ file; or a folder of PNGs. (default: none, z is drawn)
      """, valueName: "images"))
  var from: ImageSource?

  @Flag(help: "Start from the x_T that leads back to the images of --from, and draw by ddim.")
  var invert = false

  @Option(
    help: ArgumentHelp(
      "Refine these latents: X.npy or X.npz (its array z), [N, latent]. (default: z is drawn)",
      valueName: "path"))
  var z: String?

  @Option(
    name: .customLong("xT"),
    help: ArgumentHelp(
      """
      Start from this noise: X.npy or X.npz (its array xT), [N, H, W, C], of variance 1. (default: x_T \
      is drawn)
      """, valueName: "path"))
  var xT: String?

  @Option(
    help: ArgumentHelp(
      "Write the latents to X.npy or X.npz, [N, latent]. (default: nowhere)", valueName: "path"))
  var exportZ: String?

  @Option(
    name: .customLong("export-xT"),
    help: ArgumentHelp(
      """
      Write the noise that images start from to X.npy or X.npz, [N, H, W, C]. (default: nowhere)
      """, valueName: "path"))
  var exportXT: String?

  /// Whether images are those of the data set.
  var isOfDataSet: Bool {
    switch from {
    case .dataset, .label: true
    case .files, nil: false
    }
  }

  /// Whether z is not drawn.
  var givesZ: Bool { from != nil || z != nil }

  var isOfStageTwo: Bool { invert || xT != nil || exportXT != nil }

  func validate() throws {
    guard from == nil || z == nil else {
      throw ValidationError("--from and --z both say what z is: give one of them")
    }
    guard !invert || from != nil && xT == nil else {
      throw ValidationError("--invert finds the x_T of the images of --from; it takes no --xT")
    }
  }

  /// Reads what is given.
  ///
  /// - Parameters:
  ///   - count: how many images; nil for all that are given, or 64.
  ///   - times: how many times smaller the sides of images in files are.
  func read(for model: Model, count: Int?, times: Int) throws -> Material {
    let noise = try xT.map { try Matrix(array: $0, of: model.shape.sizes, name: .xT) }
    let images = try from.map { try model.images($0, count: count, times: times) }
    let latents = try z.map { try model.latents(file: $0) }
    let count = count ?? images?.count ?? latents?.rows ?? noise?.rows ?? 64
    for (path, given) in [(z, latents), (xT, noise)] {
      guard let path, let given, given.rows < count else { continue }
      throw UserError("\(path): is of \(given.rows) images; \(count) are to be drawn")
    }
    return Material(
      count: count, images: images, latents: latents?.rows(0..<count), noise: noise)
  }

  /// Fails early where writing is bound to fail.
  func checkExports(shape: ImageShape, besides out: String) throws {
    let paths = [exportZ, exportXT].compactMap { $0 }
    for path in paths {
      guard ArrayName.isOfArrays(path) else {
        throw UserError("\(path): must end in .npy or .npz")
      }
      try ImageOutput.array(path).check(count: 1, shape: shape)
    }
    guard Set(paths + [out]).count == paths.count + 1 else {
      throw UserError("what is exported and the images must go to different files")
    }
  }

  /// Writes what the drafts are made of, as far as that is wanted.
  func export(_ drafts: [Draft], shape: ImageShape) throws {
    if let exportZ {
      let z = drafts.compactMap(\.z)
      guard let latent = z.first?.columns else {
        throw UserError("formulation none has no VAE, and so no z to export")
      }
      try Matrix.stacked(z).write(array: exportZ, of: [latent], name: .z)
    }
    if let exportXT {
      try Matrix.stacked(drafts.map(\.start)).write(
        array: exportXT, of: shape.sizes, name: .xT)
    }
  }
}

/// What images are made of, as far as it is not drawn.
struct Material {
  let count: Int
  let images: ByteImages?
  /// `[count, latent]`
  let latents: Matrix?
  /// `[count or more, pixels]`
  let noise: Matrix?

  /// - Parameter inverting: whether to start from what leads back to the images.
  func drafts(by generator: Generator, inverting: Bool) throws -> [Draft] {
    var drafts =
      if let images {
        try generator.drafts(of: images, inverting: inverting)
      } else if let latents {
        try generator.drafts(of: latents, labels: nil)
      } else {
        try generator.drafts(count: count)
      }
    if let noise {
      for place in drafts.indices { drafts[place].start = noise.rows(place..<place + 1) }
    }
    return drafts
  }
}
