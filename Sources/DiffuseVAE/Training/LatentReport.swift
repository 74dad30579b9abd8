import Formats
import Foundation
import Neural
import RealModule

/// What the latents of a set of images are like, next to N(0, I) and to the prior: `latents.json`.
///
/// With q(z) the aggregated posterior, the mean of q(z|x) over the images, and any p
///
///     E KL(q(z|x) ‖ p) = I(x; z) + KL(q(z) ‖ p)
///
/// (Hoffman & Johnson 2016). Neither term is known alone, as ln q(z) takes the posteriors of all
/// images. But the sum for any p is an upper bound of I, and what it is below the sum for N(0, I)
/// is a lower bound of KL(q(z) ‖ N(0, I)). Over the training images, which p is fitted to, both are
/// of these images only; over test images the mean is an unbiased estimate of that for unseen ones.
struct LatentReport: Codable, Equatable {
  struct Latent: Codable, Equatable {
    /// Mean of `KL(q(z|x) ‖ N(0, 1))`, in nats.
    let divergence: Double
    /// Whether that is more than 0.01.
    let active: Bool
    /// Moments of q(z); those of N(0, 1) are 0 and 1.
    let mean: Double
    let deviation: Double
  }

  /// The mean of `KL(q(z|x) ‖ p)` over some images, in nats, by one draw of each posterior.
  struct Divergence: Codable, Equatable {
    let images: Int
    let mean: Double
    /// The standard error of the mean; nil for a single image.
    let error: Double?

    /// - Parameter logDensities: `ln p(z)` for a draw z of each posterior, one at least.
    init(_ posteriors: DiagonalGaussian, logDensities: [Double]) {
      self.init(terms: zip(posteriors.entropies, logDensities).map { -$0 - $1 })
    }

    /// - Parameter terms: of each image, one at least.
    init(terms: [Double]) {
      images = terms.count
      (mean, error) = sampleMean(terms)
    }
  }

  /// How many training images.
  let images: Int
  /// Mean of `KL(q(z|x) ‖ N(0, I))` over these, in nats.
  let divergenceFromNormal: Double
  /// Of these images; nil for a prior without a density.
  let divergenceFromPrior: Divergence?
  /// Of the test images; nil if there are none, too.
  let testDivergenceFromPrior: Divergence?
  /// Of a VAE with several levels of latents: the mean of `ln q(z|x) - ln p(z)` over all of them, by
  /// one draw for each of the training images. `KL(q(z1|x) ‖ p(z1))`, which is not known, is less.
  let divergenceFromLevels: Divergence?
  /// What each level adds to that, z1's first; only the last is a divergence by itself.
  let levels: [Divergence]?
  let latents: [Latent]

  /// - Parameter levels: of each level of several, `ln q - ln p` of every image.
  init(
    _ posteriors: DiagonalGaussian, fromPrior: Divergence? = nil, testFromPrior: Divergence? = nil,
    levels: [[Double]]? = nil
  ) {
    images = posteriors.count
    let n = Double(images)
    let (means, deviations) = posteriors.aggregatedMoments
    let active = Set(posteriors.activeDimensions)
    latents = posteriors.divergencePerDimension.enumerated().map { i, sum in
      Latent(
        divergence: sum / n, active: active.contains(i), mean: means[i], deviation: deviations[i])
    }
    divergenceFromNormal = latents.reduce(0) { $0 + $1.divergence }
    divergenceFromPrior = fromPrior
    testDivergenceFromPrior = testFromPrior
    self.levels = levels?.map { Divergence(terms: $0) }
    divergenceFromLevels = levels.map { levels in
      let zeros = [Double](repeating: 0, count: posteriors.count)
      return Divergence(terms: levels.reduce(zeros) { zip($0, $1).map(+) })
    }
  }

  /// Keys in snake case, in alphabetical order.
  func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return Array(try encoder.encode(self))
  }
}

extension LatentReport.Divergence: CustomStringConvertible {
  var description: String { mean.digits(2) + (error.map { " ± \($0.digits(2))" } ?? "") }
}

extension LatentReport: CustomStringConvertible {
  var description: String {
    let active = latents.count(where: \.active)
    let prior = divergenceFromPrior.map {
      """
      , \($0) from the prior: at most so much z tells of them, and their q(z) is \
      \(max(0, divergenceFromNormal - $0.mean).digits(2)) nats at least from N(0, I)
      """
    }
    let test = testDivergenceFromPrior.map {
      "; of test images \($0) from the prior: at most so much z tells of an unseen image"
    }
    let own = divergenceFromLevels.map {
      "; from the VAE's own prior of \(levels?.count ?? 0) levels at most \($0)"
    }
    let worst = latents.map { max(abs($0.mean), abs($0.deviation - 1)) }.max() ?? 0
    return """
      latents: \(active) of \(latents.count) active, mean and deviation within \
      \(worst.digits(2)) of those of N(0, 1); q(z|x) of these \(images) images is \
      \(divergenceFromNormal.digits(2)) nats from N(0, I)\(own ?? "")\(prior ?? "")\
      \(test ?? "")
      """
  }
}
