import RealModule

/// A mixture of Gaussians, `p(x) = Σ w_k N(x; μ_k, L_k L_kᵀ)`, in double precision.
public struct GaussianMixture: Equatable, Sendable {
  /// What shape the components may have.
  public enum Covariance: String, CaseIterable, Sendable {
    /// Any ellipsoid.
    case full
    /// Along the axes.
    case diagonal

    /// Numbers that the factor of one component takes.
    func factorCount(_ dimensions: Int) -> Int {
      self == .full ? dimensions * dimensions : dimensions
    }
  }

  public let covariance: Covariance
  public let dimensions: Int
  public let weights: [Double]  // [components], their sum is 1
  public let means: [Double]  // [components, dimensions]
  /// Cholesky factors L, lower triangles in `[components, dimensions, dimensions]`; or the standard
  /// deviations, `[components, dimensions]`.
  public let factors: [Double]

  public var components: Int { weights.count }

  /// - Parameters:
  ///   - weights: not negative, their sum positive; they are divided by it.
  ///   - means: as many for each weight.
  ///   - factors: diagonals are positive; above the diagonal is zero.
  /// - Throws: ``LinearAlgebraError`` for anything else.
  public init(
    weights: [Double], means: [Double], factors: [Double], covariance: Covariance
  ) throws {
    func require(_ isMet: Bool, _ problem: String) throws {
      if !isMet { throw LinearAlgebraError(description: problem) }
    }
    let sum = weights.reduce(0, +)
    try require(
      weights.allSatisfy { $0 >= 0 } && sum > 0 && sum.isFinite,
      "the weights of a mixture must not be negative, and their sum positive")
    let dimensions = means.count / weights.count
    try require(
      dimensions > 0 && means.count == weights.count * dimensions
        && factors.count == weights.count * covariance.factorCount(dimensions),
      "a mixture needs a mean and a factor for each of its \(weights.count) weights")
    try require(
      means.allSatisfy(\.isFinite) && factors.allSatisfy(\.isFinite),
      "the means and factors of a mixture must be finite")
    let isFactor =
      switch covariance {
      case .diagonal: factors.allSatisfy { $0 > 0 }
      case .full:
        factors.indices.allSatisfy { place in
          let (row, column) = (place / dimensions % dimensions, place % dimensions)
          return row > column || (row == column ? factors[place] > 0 : factors[place] == 0)
        }
      }
    try require(isFactor, "the factors of a mixture must be lower triangles, diagonals positive")
    self.weights = weights.map { $0 / sum }
    self.means = means
    self.factors = factors
    self.covariance = covariance
    self.dimensions = dimensions
  }

  /// The factor of one component, as ``factors`` holds it.
  func factor(_ component: Int) -> [Double] {
    let size = covariance.factorCount(dimensions)
    return Array(factors[component * size..<(component + 1) * size])
  }
}

// MARK: - Sampling

extension GaussianMixture {
  /// Draws, one for each row of `noise`: a component by its weight, then `μ + L ε`.
  ///
  /// - Parameters:
  ///   - choices: `[rows, 1]`, uniform in [0, 1); they choose the components.
  ///   - noise: ε, `[rows, dimensions]`, draws of N(0, 1).
  /// - Returns: `[rows, dimensions]`; a row depends on its own choice and noise only.
  public func sample(choices: Matrix, noise: Matrix) -> Matrix {
    precondition(
      noise.columns == dimensions && choices.columns == 1 && choices.rows == noise.rows,
      "a choice and \(dimensions) numbers of noise for each row")
    var x = noise
    let size = covariance.factorCount(dimensions)
    for row in 0..<noise.rows {
      let component = component(at: Double(choices[row, 0]))
      for i in 0..<dimensions {
        var sum = means[component * dimensions + i]
        switch covariance {
        case .diagonal: sum += factors[component * size + i] * Double(noise[row, i])
        case .full:
          let start = component * size + i * dimensions
          for j in 0...i { sum += factors[start + j] * Double(noise[row, j]) }
        }
        x[row, i] = Float(sum)
      }
    }
    return x
  }

  /// The first component up to which the weights sum to more than `u`.
  private func component(at u: Double) -> Int {
    var sum = 0.0
    for (component, weight) in weights.enumerated() {
      sum += weight
      if u < sum { return component }
    }
    // Rounding may leave the whole sum a little below 1.
    return weights.lastIndex { $0 > 0 } ?? 0
  }
}

// MARK: - Densities

extension GaussianMixture {
  /// `ln p(x)`, in nats, of every row of `[rows, dimensions]`.
  public func logDensities(of points: Matrix) -> [Double] {
    evaluate(points).flatMap(\.logDensities)
  }

  /// The probability of every component, given the point: `[rows, components]`, row-major.
  public func responsibilities(of points: Matrix) -> [Double] {
    evaluate(points).flatMap(\.responsibilities)
  }

  private func evaluate(_ points: Matrix) -> [Expectation] {
    precondition(points.columns == dimensions, "points of \(dimensions) dimensions")
    // The mean of the whole mixture is amid the points.
    let origin = (0..<dimensions).map { i in
      weights.indices.reduce(0) { $0 + weights[$1] * means[$1 * dimensions + i] }
    }
    let features = GaussianFeatures(origin: origin, covariance)
    let coefficients = features.coefficients(of: self)
    return features.blocks(of: 0..<points.rows).map { rows in
      Expectation(features.values(of: points, rows), coefficients, components, rows.count)
    }
  }
}
