/// The optimal transport of one Gaussian onto another, for squared distances: of all maps that make
/// draws of N(μ', Σ') of those of N(μ, Σ), the one that moves them least (Olkin & Pukelsheim 1982;
/// Peyré & Cuturi 2019, arXiv 1803.00567, remark 2.31):
///
///     T(x) = μ' + A (x - μ)      A = Σ^-½ (Σ^½ Σ' Σ^½)^½ Σ^-½
public struct GaussianTransport: Sendable {
  private let from, to: [Double]
  private let matrix: [Double]  // A, [n, n], symmetric

  /// - Parameters:
  ///   - from: μ, `[n]`, and Σ, `[n, n]`, positive definite.
  ///   - to: μ' and Σ', likewise; Σ' need not have full rank.
  /// - Throws: ``LinearAlgebraError`` for a Σ that is not positive definite as far as rounding can tell.
  public init(
    from: (mean: [Double], covariance: [Double]), to: (mean: [Double], covariance: [Double])
  ) throws {
    let n = from.mean.count
    precondition(
      to.mean.count == n && from.covariance.count == n * n && to.covariance.count == n * n,
      "Gaussians of other dimensions")
    let (values, vectors) = try symmetricEigen(from.covariance, n: n)
    guard let least = values.first, least > 1e-12 * (values.last ?? 0) else {
      throw LinearAlgebraError(description: "the covariance is not positive definite")
    }
    let root = sandwich(vectors, values.map { $0.squareRoot() }, n)
    let inverseRoot = sandwich(vectors, values.map { 1 / $0.squareRoot() }, n)
    let inner = product(product(root, to.covariance, n), root, n)
    let (innerValues, innerVectors) = try symmetricEigen(inner, n: n)
    // Rounding may leave a value that is zero a little below.
    let innerRoot = sandwich(innerVectors, innerValues.map { max($0, 0).squareRoot() }, n)
    matrix = product(product(inverseRoot, innerRoot, n), inverseRoot, n)
    (self.from, self.to) = (from.mean, to.mean)
  }

  /// - Parameter x: `[n]`
  public func callAsFunction(_ x: [Double]) -> [Double] {
    precondition(x.count == from.count, "a point of other dimensions")
    return to.indices.map { i in
      to[i] + x.indices.reduce(0) { $0 + matrix[i * x.count + $1] * (x[$1] - from[$1]) }
    }
  }
}

/// `Vᵀ diag(values) V`
///
/// - Parameter vectors: V, a vector in each row.
private func sandwich(_ vectors: [Double], _ values: [Double], _ n: Int) -> [Double] {
  var result = [Double](repeating: 0, count: n * n)
  for k in 0..<n {
    for i in 0..<n {
      for j in 0..<n { result[i * n + j] += values[k] * vectors[k * n + i] * vectors[k * n + j] }
    }
  }
  return result
}

/// The product of two matrices of order n.
private func product(_ a: [Double], _ b: [Double], _ n: Int) -> [Double] {
  var result = [Double](repeating: 0, count: n * n)
  for i in 0..<n {
    for k in 0..<n {
      for j in 0..<n { result[i * n + j] += a[i * n + k] * b[k * n + j] }
    }
  }
  return result
}
