import RealModule

extension GaussianMixture {
  /// Numbers that a fit is free to choose: all weights but one, the means, and of every covariance
  /// one triangle or the diagonal.
  public var freeParameters: Int {
    let perCovariance = covariance == .full ? dimensions * (dimensions + 1) / 2 : dimensions
    return components - 1 + components * (dimensions + perCovariance)
  }
}

extension GaussianMixture.Fit {
  /// The Bayesian information criterion, `-2 ln L + p ln n` with p free parameters (Schwarz 1978).
  /// The lower, the better.
  ///
  /// - Parameter points: n, how many the mixture was fitted to.
  public func informationCriterion(points: Int) -> Double {
    let n = Double(points)
    return -2 * n * logLikelihood + Double(mixture.freeParameters) * Double.log(n)
  }
}
