import Formats
import Foundation
import Neural

/// The images of a configuration: a training set, and held-out images where the set has some.
/// Either may have labels.
public struct Dataset: Sendable {
  public let name: String
  public let shape: ImageShape
  public let training: ByteImages
  public let test: ByteImages?
  /// Of an image, in nats, of a set of known density; nil of others.
  package let entropy: Double?

  /// Loads the set that the configuration names.
  ///
  /// `digits` is built in: 1 500 images for training and 297 held out. So are the sets of known
  /// density, ``TestBed``: 10 000 and 2 000. Any other name is a folder of IDX files, looked for in
  /// `settings.folder`, else in the folder that the environment variable `DIFFUSEVAE_DATA` names,
  /// else in `data`; torchvision's layout is understood.
  ///
  /// - Throws: `FormatError` or ``UserError``, each naming the file and what was expected.
  public init(_ settings: DataSettings) throws {
    name = settings.set
    let testBed = TestBed(rawValue: settings.set)
    entropy = testBed?.entropy
    if let testBed {
      training = testBed.images(0..<10_000)
      test = testBed.images(10_000..<12_000)
    } else if settings.set == "digits" {
      let (images, labels) = try Digits.load()
      var all = images
      all.labels = labels
      training = all.slice(0..<1500)
      test = all.slice(1500..<all.count)
    } else {
      let folder = try Self.folder(settings)
      training = try Self.images("train", at: Self.file("train", folder), folder)
      test = try Self.existing("t10k", "images-idx3", folder).map {
        try Self.images("t10k", at: $0, folder)
      }
    }
    shape = ImageShape(
      height: training.height, width: training.width, channels: training.channels)
    if let test {
      let found = ImageShape(height: test.height, width: test.width, channels: test.channels)
      guard found == shape else {
        throw UserError("\(name): test images are \(found), training images \(shape)")
      }
    }
    guard shape.isDrawable else {
      throw UserError(
        "\(name): images are \(shape); they must have 1, 3 or 4 channels and at most 2^20 numbers")
    }
  }

  /// Tells what is trained on apart: the size of the images, the training images and, if they matter,
  /// their labels.
  package func fingerprint(labelled: Bool = true) -> String {
    var fingerprint = Fingerprint()
    fingerprint.add(Array("\(training.count)x\(shape)".utf8))
    fingerprint.add(training.bytes)
    if labelled { fingerprint.add(training.labels ?? []) }
    return fingerprint.hexadecimal
  }

  /// Memory that the images take.
  var bytes: Int { training.bytes.count + (test?.bytes.count ?? 0) }

  private static func folder(_ settings: DataSettings) throws -> String {
    let root =
      settings.folder ?? ProcessInfo.processInfo.environment["DIFFUSEVAE_DATA"] ?? "data"
    let set = settings.set
    // A folder of the set's name first: what lies beside it may be another set.
    let candidates = [set, "\(set)/raw", set.uppercased(), "\(set.uppercased())/raw", ""]
      .map { $0.isEmpty ? root : "\(root)/\($0)" }
    guard let found = candidates.first(where: { existing("train", "images-idx3", $0) != nil })
    else {
      throw UserError(
        """
        \(root): no images of the set \(set) here; expected train-images-idx3-ubyte, plain or .gz, \
        in this folder or in \(set), \(set)/raw or \(set.uppercased())/raw below it. \
        Set data.folder or DIFFUSEVAE_DATA to where it is; scripts/get-mnist fetches MNIST.
        """)
    }
    return found
  }

  private static func existing(_ split: String, _ part: String, _ folder: String) -> String? {
    ["", ".gz"].map { "\(folder)/\(split)-\(part)-ubyte\($0)" }
      .first { FileManager.default.fileExists(atPath: $0) }
  }

  private static func file(_ split: String, _ folder: String) throws -> String {
    existing(split, "images-idx3", folder) ?? "\(folder)/\(split)-images-idx3-ubyte"
  }

  /// The images of a file, with the labels beside it, when there are any: there must be one for each
  /// image.
  private static func images(
    _ split: String, at path: String, _ folder: String
  ) throws -> ByteImages {
    var images = try IDX.images(at: path)
    guard let path = existing(split, "labels-idx1", folder) else { return images }
    let labels = try IDX.labels(at: path)
    guard labels.count == images.count else {
      throw UserError("\(path): \(labels.count) labels for \(images.count) images")
    }
    images.labels = labels
    return images
  }
}

extension ByteImages {
  package func slice(_ range: Range<Int>) -> ByteImages {
    let size = height * width * channels
    var slice = ByteImages(
      count: range.count, height: height, width: width, channels: channels,
      bytes: Array(bytes[range.lowerBound * size..<range.upperBound * size]))
    slice.labels = labels.map { Array($0[range]) }
    return slice
  }

  /// Images by their numbers.
  package func chosen(_ numbers: [Int]) -> ByteImages {
    let size = height * width * channels
    var chosen = ByteImages(
      count: numbers.count, height: height, width: width, channels: channels,
      bytes: numbers.flatMap { bytes[$0 * size..<($0 + 1) * size] })
    chosen.labels = labels.map { labels in numbers.map { labels[$0] } }
    return chosen
  }

  /// The numbers of `count` of the images, or of all if there are fewer, spread evenly: a set may
  /// be sorted by its labels.
  package func spread(_ count: Int) -> [Int] {
    let taken = min(count, self.count)
    return (0..<taken).map { $0 * self.count / taken }
  }

  /// The classes of images, by their numbers; nil where they are not known.
  package func labels(_ indices: some Collection<Int>) -> [Int]? {
    labels.map { labels in indices.map { Int(labels[$0]) } }
  }

  /// Images by their numbers, `[indices, height·width·channels]` in [0, 1].
  package func pixels(_ indices: some Collection<Int>) -> Matrix {
    Matrix(gathering: indices, of: bytes, columns: height * width * channels, scale: 1 / 255)
  }
}
