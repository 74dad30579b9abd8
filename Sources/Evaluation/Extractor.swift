import DiffuseVAE
import Formats
import Neural

/// What images are compared by: 128 features of each, from a small classifier.
///
/// A trained one knows the classes of its data set, so it also says what class an image looks like.
/// The other is the same network as it is before training: random features, which need no labels.
public struct Extractor: Sendable {
  /// Features of an image.
  public static let features = Classifier.features

  /// How a trained extractor came to be.
  public struct Origin: Equatable, Sendable {
    /// The name of the data set.
    public let data: String
    /// Of the training images and their labels; see `Dataset.fingerprint`.
    public let fingerprint: String
    public let classes: Int
    public let seed: UInt64
    /// The share of images whose label is the likeliest class.
    public internal(set) var accuracy: Double
    /// Whether these are test images; where none have labels, they are the training images.
    public let isHeldOut: Bool
  }

  /// Of the images that it takes.
  public let shape: ImageShape
  /// Nil for random features.
  public internal(set) var origin: Origin?
  let classifier: Classifier

  init(_ classifier: Classifier, shape: ImageShape, origin: Origin?) {
    self.classifier = classifier.prepared(training: false)
    (self.shape, self.origin) = (shape, origin)
  }

  /// Random features: the network with its untrained weights of seed 0.
  ///
  /// - Throws: ``UserError`` when the network would not fit into memory.
  public static func random(shape: ImageShape) throws -> Extractor {
    try checkMemory(bytes: bytes(shape, classes: 1, images: batch(shape)), "the extractor")
    return Extractor(Classifier(shape: shape, classes: 1, seed: 0), shape: shape, origin: nil)
  }

  /// The share of images that it classifies rightly (``Origin/isHeldOut``); nil for random
  /// features.
  public var accuracy: Double? { origin?.accuracy }

  /// What it has to say about images.
  public struct Outputs: Equatable, Sendable {
    /// `[images, 128]`
    public let features: Matrix
    /// Of the classes, `[images, classes]`; nil from random features.
    public let probabilities: Matrix?
  }

  /// Features and probabilities, in one pass.
  ///
  /// - Parameters:
  ///   - images: of ``shape``.
  ///   - threads: changes nothing but the time.
  /// - Throws: ``UserError`` when the images are of another shape.
  public func outputs(of images: ByteImages, threads: Int) throws -> Outputs {
    guard images.shape == shape else {
      throw UserError("images are \(images.shape); the extractor takes images of \(shape)")
    }
    return try outputs(count: images.count, threads: threads) { images.pixels($0) }
  }

  /// Features and probabilities, in one pass.
  ///
  /// - Parameter pixels: `[images, height·width·channels]` in [0, 1].
  /// - Throws: ``UserError`` when rows are not as long as an image of ``shape``.
  public func outputs(of pixels: Matrix, threads: Int) throws -> Outputs {
    guard pixels.columns == shape.count else {
      throw UserError(
        "images are of \(pixels.columns) numbers; the extractor takes images of \(shape)")
    }
    return try outputs(count: pixels.rows, threads: threads) { pixels.rows($0) }
  }

  public func features(of images: ByteImages, threads: Int) throws -> Matrix {
    try outputs(of: images, threads: threads).features
  }

  public func features(of pixels: Matrix, threads: Int) throws -> Matrix {
    try outputs(of: pixels, threads: threads).features
  }

  private func outputs(
    count: Int, threads: Int, pixels: @Sendable (Range<Int>) -> Matrix
  ) throws -> Outputs {
    let ranges = (0..<count).parts(of: Self.batch(shape))
    let parts = try concurrently(ranges.count, threads: threads) { index in
      let (logits, residuals) = classifier.forward(pixels(ranges[index]))
      return (residuals.features, logits.softmax())
    }
    let none = Matrix(0, Self.features)
    let features = Matrix.stacked([none] + parts.map(\.0))
    guard let origin else { return Outputs(features: features, probabilities: nil) }
    let probabilities = Matrix.stacked([Matrix(0, origin.classes)] + parts.map(\.1))
    return Outputs(features: features, probabilities: probabilities)
  }

  /// Images that are looked at together: fewer when they are large, for memory's sake.
  private static func batch(_ shape: ImageShape) -> Int {
    max(1, min(128, (1 << 24) / Classifier.residuals(perImageOf: shape)))
  }

  /// Memory that the network, its training state and some images on their way through take.
  static func bytes(_ shape: ImageShape, classes: Int, images: Int, lanes: Int = 0) -> Int {
    let parameters = Classifier.parameterCount(shape: shape, classes: classes)
    return 4 * (parameters * (4 + lanes) + images * Classifier.residuals(perImageOf: shape))
  }
}

extension Extractor: CustomStringConvertible {
  public var description: String {
    guard let origin else {
      return "random features: an untrained network for images of \(shape)"
    }
    return """
      a classifier of the \(origin.classes) classes of \(origin.data), \
      right on \(percent(origin.accuracy)) of its \(origin.isHeldOut ? "test" : "training") images
      """
  }

  private func percent(_ share: Double) -> String {
    let hundredths = Int((share * 1e4).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) %"
  }
}
