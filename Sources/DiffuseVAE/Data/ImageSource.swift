import Formats
import Neural

/// Real images that a command starts from, as a user names them.
public enum ImageSource: Equatable, Sendable {
  /// `dataset:7`: an image of the model's data set, a held-out one where the set has any.
  case dataset(first: Int)
  /// `class:3`: the training images of a class.
  case label(Int)
  /// A PNG file, an NPY or NPZ file, or a folder of PNG files.
  case files(String)

  /// Nil for an empty name, and for `dataset:` or `class:` without a number from 0 up.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let number = parts.count == 2 ? Int(parts[1]).flatMap { $0 >= 0 ? $0 : nil } : nil
    switch (parts[0], number) {
    case ("dataset", let first?): self = .dataset(first: first)
    case ("class", let label?): self = .label(label)
    case ("dataset", nil) where parts.count == 2, ("class", nil) where parts.count == 2: return nil
    default:
      guard !text.isEmpty else { return nil }
      self = .files(text)
    }
  }
}

extension Model {
  /// Images that are there, of the model's size, with labels where these are known.
  ///
  /// - Parameters:
  ///   - count: how many; nil for one of the data set, and for all of a class or of files.
  ///   - times: of files: how many times smaller their sides are than the model's, a divisor of these;
  ///     every pixel becomes a square.
  /// - Throws: ``UserError`` or `FormatError` when there are not so many, or they are of another size.
  package func images(
    _ source: ImageSource, count: Int? = nil, times: Int = 1
  ) throws -> ByteImages {
    switch source {
    case .dataset(let first):
      let data = try dataset()
      return try slice(data.test ?? data.training, first, count ?? 1, of: data.name)
    case .label(let label):
      let data = try dataset()
      let isOfClass = try data.training.isOfClass(label, name: data.name)
      let images = data.training.chosen(isOfClass.indices.filter { isOfClass[$0] })
      return try slice(images, 0, count ?? images.count, of: "\(data.name), class \(label)")
    case .files(let path):
      let small = ImageShape(
        height: shape.height / times, width: shape.width / times, channels: shape.channels)
      let images = try ByteImages(files: path, shape: small, counts: 1...1_000_000)
      let chosen = try slice(images, 0, count ?? images.count, of: path)
      try checkMemory(bytes: 2 * chosen.count * shape.count, "enlarging \(chosen.count) images")
      return chosen.enlarged(times)
    }
  }

  /// The data set of the run.
  ///
  /// - Throws: `FormatError` or ``UserError`` when it is not there, or not of the model's kind.
  package func dataset() throws -> Dataset {
    let data = try Dataset(configuration.data)
    guard data.shape == shape else {
      throw UserError("\(data.name): images are \(data.shape), the run's are \(shape)")
    }
    try configuration.checkLabels(data)
    let found = data.fingerprint(labelled: configuration.classes > 0)
    guard fingerprints.allSatisfy({ $0 == found }) else {
      throw UserError("\(data.name): its images are not those that the run was trained on")
    }
    return data
  }

  private func slice(
    _ images: ByteImages, _ first: Int, _ count: Int, of name: String
  ) throws -> ByteImages {
    guard first < images.count, count <= images.count - first else {
      throw UserError(
        "\(name): has images 0...\(images.count - 1) here; \(count) from \(first) are asked for")
    }
    return images.slice(first..<first + count)
  }
}
