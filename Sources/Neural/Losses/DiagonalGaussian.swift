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

  /// Derivative by ``parameters`` of a loss whose derivative by `sample(noise)` is `dz`.
  public func backward(_ dz: Matrix, noise: Matrix) -> Matrix {
    var byLogVariance = logVariance.map { 0.5 * Elementary.exp(0.5 * $0) }
    byLogVariance.update(with: noise) { $0 * $1 }
    byLogVariance.update(with: dz) { $0 * $1 }
    return dz.joined(byLogVariance)
  }
}

// MARK: - The divergence from N(0, I)

extension DiagonalGaussian {
  /// `KL(N(mean, variance) ‖ N(0, 1))` of every dimension of every row, in nats (Kingma & Welling
  /// 2013, appendix B).
  private var divergences: Matrix {
    var terms = mean
    terms.update(with: logVariance) { m, l in 0.5 * (m * m + Elementary.exp(l) - l - 1) }
    return terms
  }

  /// Summed over the dimensions of every row.
  ///
  /// - Parameter least: what a dimension counts that has less; nil to count what there is.
  public func divergencesFromNormal(atLeast least: Float? = nil) -> [Double] {
    guard let least else { return divergences.rowSums }
    return divergences.map { max(least, $0) }.rowSums
  }

  /// The derivative by ``parameters`` of `Σ_r factors[r] · divergencesFromNormal(atLeast: least)[r]`.
  public func divergenceDerivative(factors: [Float], atLeast least: Float? = nil) -> Matrix {
    var byMean = mean
    var byLogVariance = logVariance.map { 0.5 * (Elementary.exp($0) - 1) }
    if let least {
      let counts = divergences.map { $0 > least ? 1 : 0 }
      byMean.update(with: counts) { $0 * $1 }
      byLogVariance.update(with: counts) { $0 * $1 }
    }
    var derivative = byMean.joined(byLogVariance)
    derivative.scaleRows(factors)
    return derivative
  }

  /// The divergence of every latent dimension, summed over the batch: a dimension with less than
  /// 0.01 nats an example carries nothing.
  public var divergencePerDimension: [Double] {
    var sums = [Double](repeating: 0, count: dimensions)
    for (i, term) in divergences.elements.enumerated() { sums[i % dimensions] += Double(term) }
    return sums
  }
}
