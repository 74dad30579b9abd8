import DiffuseVAE
import Formats
import Neural

/// The training images of a data set, as other images are compared with them, and what compares
/// them.
public struct Reference: Sendable {
  /// Numbers of images that can be scored.
  public static let counts = 4...1_000_000
  /// Numbers in an image up to which the pixels' covariances are compared: the time grows with the
  /// cube of it.
  static let mostPixels = 4096

  public let extractor: Extractor
  let seed: UInt64
  let threads: Int

  /// Of all training images.
  let moments: Moments
  /// Nil for images of more than ``mostPixels``.
  let pixelMoments: Moments?
  /// Of as many as there may be images to compare, taken evenly from the whole set.
  let features: Matrix
  /// Shares of the classes; nil for random features.
  let histogram: [Double]?

  /// - Parameters:
  ///   - data: of which the training images are taken.
  ///   - count: images whose neighbourhoods and kernels are compared, in ``counts``; all if there
  ///     are fewer.
  ///   - seed: decides which images the kernel distance puts together.
  ///   - threads: changes nothing but the time.
  /// - Throws: ``UserError`` when there are too few images, or they are of another size than the
  ///   extractor's.
  public init(
    _ data: Dataset, extractor: Extractor, count: Int, seed: UInt64, threads: Int
  ) throws {
    let images = data.training
    let most = min(count, images.count)
    guard most >= Self.counts.lowerBound else {
      throw UserError(
        "\(data.name): \(most) training images are too few to compare with; it takes "
          + "\(Self.counts.lowerBound) or more")
    }
    let outputs = try extractor.outputs(of: images, threads: threads)
    self.extractor = extractor
    self.seed = seed
    self.threads = threads
    moments = try Moments(of: outputs.features, threads: threads)
    pixelMoments = try Self.pixelMoments(of: images, threads: threads)
    features = outputs.features.rows(at: images.spread(most))
    histogram = try outputs.probabilities.map(classHistogram)
  }

  private static func pixelMoments(of images: ByteImages, threads: Int) throws -> Moments? {
    let size = images.height * images.width * images.channels
    guard size <= mostPixels else { return nil }
    try checkMemory(bytes: 4 * images.count * size, "comparing \(images.count) images")
    return try Moments(of: images.pixels(0..<images.count), threads: threads)
  }

  /// How far some images are from the training images.
  ///
  /// - Parameter images: 4 or more.
  /// - Throws: ``UserError`` when there are fewer, or they are of another size.
  public func scores(of images: ByteImages) throws -> Scores {
    guard images.count >= Self.counts.lowerBound else {
      throw UserError(
        "\(images.count) images cannot be scored; it takes \(Self.counts.lowerBound) or more")
    }
    let outputs = try extractor.outputs(of: images, threads: threads)
    let pixels = try Self.pixelMoments(of: images, threads: threads)
    let kernel = try KernelDistance(
      features, outputs.features, blocks: min(10, min(features.rows, images.count) / 2),
      seed: seed, threads: threads)
    let most = min(features.rows, images.count) - 1
    let manifolds = try PrecisionRecall(
      real: features, generated: outputs.features, neighbours: min(3, most), threads: threads)
    let classes = try outputs.probabilities.map(classHistogram)
    return Scores(
      frechet: try frechetDistance(
        Moments(of: outputs.features, threads: threads), moments, threads: threads),
      pixelFrechet: try zip(pixels, pixelMoments).map {
        try frechetDistance($0, $1, threads: threads)
      },
      kernel: kernel.value, kernelLow: kernel.confidence.lowerBound,
      kernelHigh: kernel.confidence.upperBound, precision: manifolds.precision,
      recall: manifolds.recall,
      classDistance: try zip(classes, histogram).map(classHistogramDistance),
      inceptionScore: try outputs.probabilities.map(inceptionScore),
      labels: zip(outputs.probabilities, images.labels).map(labelAgreement))
  }
}

/// Both or nothing.
private func zip<A, B>(_ a: A?, _ b: B?) -> (A, B)? {
  guard let a, let b else { return nil }
  return (a, b)
}

/// How far some images are from the training images of a data set.
public struct Scores: Codable, Equatable, Sendable {
  /// The squared Fréchet distance of features (``frechetDistance(_:_:threads:)``).
  public let frechet: Double
  /// The same of the pixels, in [0, 1]; nil for images of more than 4096 numbers.
  public let pixelFrechet: Double?
  /// ``KernelDistance`` of features, and its 95 % confidence.
  public let kernel, kernelLow, kernelHigh: Double
  /// ``PrecisionRecall`` of features.
  public let precision, recall: Double
  /// ``classHistogramDistance(_:_:)``; nil without a classifier.
  public let classDistance: Double?
  /// ``inceptionScore(probabilities:)``, by the classifier of the data set; nil without one.
  public let inceptionScore: Double?
  /// ``labelAgreement(probabilities:labels:)`` of images with labels: of drawn ones, those that were
  /// asked for. Nil without labels or a classifier.
  public let labels: Double?
}
