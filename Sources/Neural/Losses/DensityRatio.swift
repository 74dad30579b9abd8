/// Densities at a draw of a Gaussian, as importance weights take them.
extension DiagonalGaussian {
  /// N(0, I), so many times.
  public static func standard(count: Int, dimensions: Int) -> DiagonalGaussian {
    DiagonalGaussian(Matrix(count, 2 * dimensions))
  }

  /// Every Gaussian k times, one after the other.
  public func repeated(_ k: Int) -> DiagonalGaussian {
    k == 1 ? self : DiagonalGaussian(parameters.repeatingRows(k))
  }

  /// `ln q(z) - ln p(z)` of every row, in nats, where this is q.
  ///
  /// - Parameters:
  ///   - z: `sample(noise)`, `[batch, dimensions]`
  ///   - p: as many Gaussians.
  public func logRatios(noise: Matrix, _ z: Matrix, to p: DiagonalGaussian) -> [Double] {
    // ½ ((z - m)²/s² + ln s² - ε² - ln σ²), p being N(m, s²). Of q the noise is taken: z - μ would be
    // a difference of rounded numbers.
    var terms = z
    terms.update(with: p.mean) { $0 - $1 }
    terms.update(with: p.logVariance) { d, l in d * d * Elementary.exp(-l) + l }
    terms.update(with: noise) { $0 - $1 * $1 }
    terms.update(with: logVariance) { 0.5 * ($0 - $1) }
    return terms.rowSums
  }

  /// The derivative by ``parameters`` of `-Σ_r factors[r] · ln N(z_r; mean, variance)`, z being given.
  /// That by z is the negative of that by the mean.
  public func negativeLogDensityDerivative(at z: Matrix, factors: [Float]) -> Matrix {
    var byMean = mean
    byMean.update(with: z) { $0 - $1 }
    var byLogVariance = byMean
    byMean.update(with: logVariance) { d, l in d * Elementary.exp(-l) }
    byLogVariance.update(with: byMean) { d, g in 0.5 * (1 - d * g) }
    var derivative = byMean.joined(byLogVariance)
    derivative.scaleRows(factors)
    return derivative
  }

  /// The derivative by ``parameters`` of `Σ_r factors[r] · ln N(z_r; mean, variance)` for
  /// `z = sample(noise)`, which moves with them: only the width is left.
  public func ownLogDensityDerivative(factors: [Float]) -> Matrix {
    var byLogVariance = Matrix(count, dimensions, fill: -0.5)
    byLogVariance.scaleRows(factors)
    return Matrix(count, dimensions).joined(byLogVariance)
  }
}
