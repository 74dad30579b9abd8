import Diffusion
import Formats
import Neural

/// How given images are restored by the second stage: what of them every estimate of x0 is held to, and
/// how noisy the sample is that the sampler starts from.
///
/// An estimate is projected on what is known (Wang et al. 2022, "Zero-Shot Image Restoration Using
/// Denoising Diffusion Null-Space Model", eq. 13): `x0 ← x0 + P (x - x0)`, where x is the given image
/// and P takes from an image what was measured of it. That is held but for what leaves the range of
/// images in the end.
public struct Restoration: Sendable, Equatable {
  /// What of an image is known.
  public enum Measurement: Sendable, Equatable {
    /// P = 0: the image only is where the sampler starts, or what x̂0 is made of.
    case nothing
    /// All but a hole: of every number of an image whether it is missing.
    case outside([Bool])
    /// The means of squares of so many pixels a side.
    case means(side: Int)
  }

  public enum Start: Sendable, Equatable {
    /// Noise, as without restoration.
    case noise
    /// The image, noised to this share of the process' time: In 0...1 (Meng et al. 2021, "SDEdit",
    /// algorithm 1).
    case noised(Double)
    /// The image as it is, with Gaussian noise of this deviation, in units of [0, 1], on it: at the
    /// timestep whose σ/α is closest.
    case noisy(deviation: Double)
  }

  public var known = Measurement.nothing
  public var start = Start.noise

  public init() {}

  /// Refuses what does not fit images of a model.
  func check(_ shape: ImageShape) throws {
    switch known {
    case .nothing: break
    case .outside(let hole):
      guard hole.count == shape.count else {
        throw UserError("the hole is of \(hole.count) numbers, and images are \(shape)")
      }
    case .means(let side):
      guard side > 0, shape.height.isMultiple(of: side), shape.width.isMultiple(of: side) else {
        throw UserError("\(side) does not divide the sides of \(shape)")
      }
    }
    if case .noisy = start, known != .nothing {
      throw UserError("noise is taken away from whole images, not from what is known of them")
    }
  }

  /// Images as far as they are known: a hole is black, and every square its mean.
  package func known(of images: ByteImages) -> ByteImages {
    var known: ByteImages
    switch self.known {
    case .nothing: return images
    case .outside(let hole):
      known = ByteImages(
        images.bytes.enumerated().map { hole[$0.offset % hole.count] ? 0 : $0.element },
        images.shape)
    case .means(let side):
      known = ByteImages(
        Corruption.pixelated(images.pixels(0..<images.count), images.shape, side: side),
        shape: images.shape)
    }
    known.labels = images.labels
    return known
  }

  /// Images of which the unknown is what a VAE makes of them, again and again: a chain that leads to
  /// likely images with the known part (Rezende et al. 2014, "Stochastic Backpropagation", appendix F),
  /// by means in place of draws.
  ///
  /// - Parameters:
  ///   - given: `[batch, pixels]` in [0, 1].
  ///   - reconstruction: of such images.
  func imputed(
    _ given: Matrix, shape: ImageShape, reconstruction: (Matrix) -> Matrix
  ) -> Matrix {
    guard known != .nothing else { return given }
    return (0..<Self.imputations).reduce(given) { x, _ in
      projected(reconstruction(x).clamped(to: 0...1), to: given, shape)
    }
  }

  private static let imputations = 50

  /// Estimates of y0 that agree with what is known.
  ///
  /// - Parameters:
  ///   - y0: `[batch, pixels]`, as `given`.
  ///   - given: y0 of the given images.
  func projected(_ y0: Matrix, to given: Matrix, _ shape: ImageShape) -> Matrix {
    switch known {
    case .nothing: return y0
    case .outside(let hole):
      var projected = y0
      for row in 0..<y0.rows {
        for column in 0..<y0.columns where !hole[column] {
          projected[row, column] = given[row, column]
        }
      }
      return projected
    case .means(let side):
      var missing = given
      missing.add(-1, y0)
      var projected = y0
      projected.add(Corruption.pixelated(missing, shape, side: side))
      return projected
    }
  }

  /// The last timestep that the sampler visits: the first one on its way.
  ///
  /// - Throws: ``UserError`` for a share or a deviation out of range.
  func timestep(of schedule: NoiseSchedule) throws -> Int {
    let last = schedule.steps - 1
    switch start {
    case .noise: return last
    case .noised(let share):
      guard (0...1).contains(share) else {
        throw UserError("the share of the time to start at is \(share); it must be in 0...1")
      }
      return Int((share * Double(last)).rounded())
    case .noisy(let deviation):
      guard deviation > 0, deviation <= 100 else {
        throw UserError(
          "the deviation of the noise is \(deviation); it must be above 0, at most 100")
      }
      // Images are in [-1, 1] there.
      let ratio = 2 * deviation
      let most = schedule.level(last).sigma / schedule.level(last).alpha
      guard ratio <= most else {
        throw UserError(
          "noise of deviation \(deviation) is more than the process ends with, \((most / 2).digits(2))"
        )
      }
      return Int(schedule.level(noiseShare: ratio / (1 + ratio)).timestep.rounded())
    }
  }

  /// The samples that the sampler starts from.
  ///
  /// - Parameters:
  ///   - whole: y0 of the given images, with what is not known of them filled in.
  ///   - noise: y_T.
  func start(_ whole: Matrix, noise: Matrix, at level: Level) -> Matrix {
    switch start {
    case .noise: noise
    case .noised: Matrix.combine(level.alpha, whole, level.sigma, noise)
    case .noisy: whole.affine(Float(level.alpha), 0)
    }
  }
}
