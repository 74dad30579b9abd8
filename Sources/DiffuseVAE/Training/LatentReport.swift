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
/// (Hoffman & Johnson 2016). Neither term is known alone, as ln q(z) of all possible images is not.
/// But the sum for a fitted p is an upper bound of I, and what it is below the sum for N(0, I) is
/// a lower bound of KL(q(z) ‖ N(0, I)).
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

  let images: Int
  /// Mean of `KL(q(z|x) ‖ N(0, I))`, in nats.
  let divergenceFromNormal: Double
  /// Mean of `KL(q(z|x) ‖ p)`, in nats, by one draw of each; nil for a prior without a density.
  let divergenceFromPrior: Double?
  let latents: [Latent]

  /// - Parameter priorLogDensity: the mean of `ln p(z)` over a draw of each posterior.
  init(_ posteriors: DiagonalGaussian, priorLogDensity: Double? = nil) {
    images = posteriors.count
    let n = Double(images)
    let (means, deviations) = posteriors.aggregatedMoments
    let active = Set(posteriors.activeDimensions)
    latents = posteriors.divergencePerDimension.enumerated().map { i, sum in
      Latent(
        divergence: sum / n, active: active.contains(i), mean: means[i], deviation: deviations[i])
    }
    divergenceFromNormal = latents.reduce(0) { $0 + $1.divergence }
    let entropy = posteriors.entropy / n
    divergenceFromPrior = priorLogDensity.map { -entropy - $0 }
  }

  /// Keys in snake case, in alphabetical order.
  func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return Array(try encoder.encode(self))
  }
}

extension LatentReport: CustomStringConvertible {
  var description: String {
    let active = latents.count(where: \.active)
    let prior = divergenceFromPrior.map {
      """
      , from the prior \($0.digits(2)): at most so much z tells of the image, and q(z) is \
      \((divergenceFromNormal - $0).digits(2)) nats at least from N(0, I)
      """
    }
    let worst = latents.map { max(abs($0.mean), abs($0.deviation - 1)) }.max() ?? 0
    return """
      latents: \(active) of \(latents.count) active, mean and deviation within \
      \(worst.digits(2)) of those of N(0, 1); q(z|x) is \(divergenceFromNormal.digits(2)) nats \
      from N(0, I)\(prior ?? "")
      """
  }
}
