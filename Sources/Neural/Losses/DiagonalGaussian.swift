/// A batch of Gaussians with diagonal covariance, `[mean | ln variance]` in every row, as the
/// encoder of a VAE returns them.
public struct DiagonalGaussian: Sendable {
  public let parameters: Matrix  // [batch, 2·dimensions]

  public init(_ parameters: Matrix) {
    precondition(parameters.columns % 2 == 0, "as many variances as means")
    self.parameters = parameters
  }

  public var dimensions: Int { parameters.columns / 2 }
  public var mean: Matrix { parameters.columns(0..<dimensions) }
  public var logVariance: Matrix { parameters.columns(dimensions..<2 * dimensions) }

  /// `z = mean + √variance ⊙ noise` (Kingma & Welling 2013, §2.4).
  ///
  /// - Parameter noise: `[batch, dimensions]`, draws of N(0, 1).
  public func sample(_ noise: Matrix) -> Matrix {
    var z = logVariance.map { Elementary.exp(0.5 * $0) }
    z.update(with: noise) { $0 * $1 }
    z.add(mean)
    return z
  }

  /// `KL(N(mean, variance) ‖ N(0, 1))` summed over everything, in nats, and its derivative by
  /// ``parameters`` times `factor` (Kingma & Welling 2013, appendix B).
  public func divergenceFromNormal(factor: Float = 1) -> (loss: Double, derivative: Matrix) {
    var terms = mean
    terms.update(with: logVariance) { m, l in 0.5 * (m * m + Elementary.exp(l) - l - 1) }
    let byMean = mean.map { factor * $0 }
    let byLogVariance = logVariance.map { factor * 0.5 * (Elementary.exp($0) - 1) }
    return (terms.elements.sum, byMean.joined(byLogVariance))
  }

  /// The divergence of every latent dimension, summed over the batch: a dimension with less than
  /// 0.01 nats an example carries nothing.
  public var divergencePerDimension: [Double] {
    var terms = mean
    terms.update(with: logVariance) { m, l in 0.5 * (m * m + Elementary.exp(l) - l - 1) }
    var sums = [Double](repeating: 0, count: dimensions)
    for (i, term) in terms.elements.enumerated() { sums[i % dimensions] += Double(term) }
    return sums
  }

  /// Derivative by ``parameters`` of a loss whose derivative by `sample(noise)` is `dz`.
  public func backward(_ dz: Matrix, noise: Matrix) -> Matrix {
    var byLogVariance = logVariance.map { 0.5 * Elementary.exp(0.5 * $0) }
    byLogVariance.update(with: noise) { $0 * $1 }
    byLogVariance.update(with: dz) { $0 * $1 }
    return dz.joined(byLogVariance)
  }
}
