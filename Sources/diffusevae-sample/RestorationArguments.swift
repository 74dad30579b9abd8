import ArgumentParser
import DiffuseVAE
import Formats
import Neural

/// The options for images of which only a part is known.
struct RestorationArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Keep the images of --from but for what is white in this image of the same height and width, a PNG, \
      NPY or NPZ file: fill that in. (default: none)
      """, valueName: "path"))
  var hole: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Make images that are so many times as large as those of --from, each pixel of which is the mean \
      of its square; images of the data set are reduced first. 2 or more, a divisor of both sides. \
      (default: not at all)
      """, valueName: "times"))
  var enlarge: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Take away Gaussian noise of this deviation, of pixels in [0, 1], that is on the images of --from; \
      above 0, at most 100. (default: none)
      """, valueName: "deviation"))
  var denoise: Double?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Start from the images of --from, noised up to this share of the process' time, 0...1. (default: \
      from pure noise)
      """, valueName: "share"))
  var startAt: Double?

  var isEmpty: Bool { hole == nil && enlarge == nil && denoise == nil && startAt == nil }

  /// Whether something is known of images, and the rest to be found.
  var keepsPart: Bool { hole != nil || enlarge != nil }

  func validate() throws {
    guard hole == nil || enlarge == nil else {
      throw ValidationError("--hole and --enlarge both say what is known: give one of them")
    }
    guard denoise == nil || startAt == nil && hole == nil && enlarge == nil else {
      throw ValidationError(
        "--denoise is of whole images and says where to start: no --hole, --enlarge and --start-at")
    }
    guard enlarge.map({ $0 > 1 }) ?? true else {
      throw ValidationError("--enlarge is \(enlarge ?? 0); it must be 2 or more")
    }
  }

  /// Nil for nothing to restore.
  ///
  /// - Throws: ``UserError`` or `FormatError` for a hole that is not of the model's size.
  func restoration(for model: Model) throws -> Restoration? {
    guard !isEmpty else { return nil }
    var restoration = Restoration()
    if let hole { restoration.known = .outside(try Self.hole(hole, model.shape)) }
    if let enlarge {
      guard model.shape.height.isMultiple(of: enlarge), model.shape.width.isMultiple(of: enlarge)
      else { throw UserError("--enlarge \(enlarge) does not divide \(model.shape)") }
      restoration.known = .means(side: enlarge)
    }
    if let denoise { restoration.start = .noisy(deviation: denoise) }
    if let startAt { restoration.start = .noised(startAt) }
    return restoration
  }

  /// Of an image in grey or in colour, opaque or not: what is white in all of red, green and blue.
  private static func hole(_ path: String, _ shape: ImageShape) throws -> [Bool] {
    let image = try ByteImages(files: path, shape: nil, counts: 1...1)
    guard image.height == shape.height, image.width == shape.width else {
      throw UserError(
        "\(path): is \(image.height) by \(image.width) pixels; the run's images are \(shape.height) by "
          + "\(shape.width)")
    }
    let hole = stride(from: 0, to: image.bytes.count, by: image.channels).flatMap { pixel in
      let isWhite = image.bytes[pixel..<pixel + min(image.channels, 3)].allSatisfy { $0 > 127 }
      return [Bool](repeating: isWhite, count: shape.channels)
    }
    guard hole.contains(true) else { throw UserError("\(path): has no white, and so no hole") }
    return hole
  }
}
