import Formats
import Neural

/// Real images that a command starts from, as a user names them.
public enum ImageSource: Equatable, Sendable {
  /// `dataset:7`: an image of the model's data set, a held-out one where the set has any.
  case dataset(first: Int)
  /// A PNG file, an NPY file, or a folder of PNG files.
  case files(String)

  /// Nil for an empty name and for `dataset:` without the number of an image.
  public init?(_ text: String) {
    let prefix = "dataset:"
    guard text.hasPrefix(prefix) else {
      guard !text.isEmpty else { return nil }
      self = .files(text)
      return
    }
    guard let first = Int(text.dropFirst(prefix.count)), first >= 0 else { return nil }
    self = .dataset(first: first)
  }
}

extension Model {
  /// Images that are there, of the model's size, with labels where these are known.
  ///
  /// - Parameter count: how many; nil for one of the data set, or all of the files.
  /// - Throws: ``UserError`` or `FormatError` when there are not so many, or they are of another size.
  package func images(_ source: ImageSource, count: Int? = nil) throws -> ByteImages {
    switch source {
    case .dataset(let first):
      let data = try Dataset(configuration.data)
      guard data.shape == shape else {
        throw UserError("\(data.name): images are \(data.shape), the run's are \(shape)")
      }
      try configuration.checkLabels(data)
      return try slice(data.test ?? data.training, first, count ?? 1, of: data.name)
    case .files(let path):
      let images = try ByteImages(files: path, shape: shape, counts: 1...1_000_000)
      return try slice(images, 0, count ?? images.count, of: path)
    }
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
