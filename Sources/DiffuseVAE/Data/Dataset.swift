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
  /// Held out of the training images; nil if none is wanted.
  package let validation: ByteImages?
  /// Of an image, in nats, of a set of known density; nil of others.
  package let entropy: Double?

  /// Loads the set that the configuration names.
  ///
  /// `digits` is built in: 1 500 images for training and 297 held out. So are the sets of known
  /// density, ``TestBed``: 10 000 and 2 000. Any other name is that of a ``SetFolder``.
  ///
  /// - Parameter whole: whether `training` has all training images, without any held out for validation.
  /// - Throws: `FormatError` or ``UserError``, each naming the file and what was expected.
  public init(_ settings: DataSettings, whole: Bool = false) throws {
    name = settings.set
    let testBed = TestBed(rawValue: settings.set)
    guard settings.folder == nil || testBed == nil && settings.set != "digits" else {
      throw UserError("\(settings.set) is built in: give the set in data.folder another name")
    }
    entropy = testBed?.entropy
    var training: ByteImages
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
      let folder = try SetFolder(settings)
      training = try folder.training()
      test = try folder.test()
    }
    shape = training.shape
    if let test, test.shape != shape {
      throw UserError("\(name): test images are \(test.shape), training images \(shape)")
    }
    guard shape.isDrawable else {
      throw UserError(
        "\(name): images are \(shape); they must have 1, 3 or 4 channels and at most 2^20 numbers")
    }
    validation = try whole ? nil : training.holdOut(settings.validation, name: name)
    if settings.flip {
      try checkMemory(bytes: 3 * training.bytes.count, "\(name) with its mirror images")
      training = training.withMirrorImages()
    }
    self.training = training
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
  var bytes: Int {
    training.bytes.count + (test?.bytes.count ?? 0) + (validation?.bytes.count ?? 0)
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
    var pixels: [UInt8] = []
    pixels.reserveCapacity(numbers.count * size)
    for number in numbers { pixels += bytes[number * size..<(number + 1) * size] }
    var chosen = ByteImages(pixels, shape)
    chosen.labels = labels.map { labels in numbers.map { labels[$0] } }
    return chosen
  }

  /// Takes `count` images out, the same ones every time, at random: a set may be sorted by its labels, or
  /// have them in turn.
  ///
  /// - Returns: those, nil if `count` is 0.
  /// - Throws: ``UserError`` when none would be left.
  mutating func holdOut(_ count: Int, name: String) throws -> ByteImages? {
    guard count > 0 else { return nil }
    guard count < self.count else {
      throw UserError(
        "data.validation is \(count), and there are \(self.count) training images of \(name)")
    }
    try checkMemory(bytes: 2 * bytes.count, "\(name) with images held out")
    var random = SequentialRandom(RandomStream(seed: 0, purpose: .shuffle, step: 0))
    let order = Array(0..<self.count).shuffled(using: &random)
    let held = chosen(order.prefix(count).sorted())
    self = chosen(order.dropFirst(count).sorted())
    return held
  }

  /// Images of one size, one or more sets of them, of which one at a time is in memory if they are made
  /// when they are asked for; with labels, if all have them.
  ///
  /// - Parameter capacity: bytes that all together are likely to have.
  init(joining sets: Int, capacity: Int, _ set: (Int) throws -> ByteImages) rethrows {
    let first = try set(0)
    var (bytes, labels) = (first.bytes, first.labels)
    bytes.reserveCapacity(capacity)
    for number in 1..<max(1, sets) {
      let next = try set(number)
      bytes += next.bytes
      labels = next.labels.flatMap { more in labels.map { $0 + more } }
    }
    self.init(bytes, first.shape)
    self.labels = labels
  }

  /// The same images, and then the same again with left and right exchanged.
  func withMirrorImages() -> ByteImages {
    let row = width * channels
    let both = [UInt8](unsafeUninitializedCapacity: 2 * bytes.count) { target, filled in
      for place in bytes.indices {
        let (line, offset) = place.quotientAndRemainder(dividingBy: row)
        let (column, channel) = offset.quotientAndRemainder(dividingBy: channels)
        let mirrored = line * row + (width - 1 - column) * channels + channel
        target[place] = bytes[place]
        target[bytes.count + mirrored] = bytes[place]
      }
      filled = 2 * bytes.count
    }
    var images = ByteImages(both, shape)
    images.labels = labels.map { $0 + $0 }
    return images
  }

  /// The same images with a square of so many pixels a side in place of each.
  func enlarged(_ times: Int) -> ByteImages {
    guard times > 1 else { return self }
    let shape = ImageShape(height: height * times, width: width * times, channels: channels)
    var elements: [UInt8] = []
    elements.reserveCapacity(count * shape.count)
    for line in 0..<count * height {
      let pixels = (0..<width).flatMap { column in
        let start = (line * width + column) * channels
        return (0..<times).flatMap { _ in bytes[start..<start + channels] }
      }
      for _ in 0..<times { elements += pixels }
    }
    return ByteImages(elements, shape)
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

  /// Numbers in [0, 1] as bytes, as they would be saved.
  package init(_ pixels: Matrix, shape: ImageShape) {
    self.init(
      count: pixels.rows, height: shape.height, width: shape.width, channels: shape.channels,
      bytes: pixels.bytes)
  }

  /// Images by their numbers, `[indices, height·width·channels]` in [0, 1].
  package func pixels(_ indices: some Collection<Int>) -> Matrix {
    Matrix(gathering: indices, of: bytes, columns: height * width * channels, scale: 1 / 255)
  }
}
