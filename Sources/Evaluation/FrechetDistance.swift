import DiffuseVAE
import Neural

/// Mean and covariance of the features of a set of images.
public struct Moments: Equatable, Sendable {
  public let mean: [Double]  // [d]
  public let covariance: [Double]  // [d, d], unbiased: divided by n - 1

  /// More features than this would make covariances of gigabytes.
  public static let mostFeatures = 16_384

  /// - Parameters:
  ///   - features: `[n, d]`, a row per image, n ≥ 2, d in 1…``mostFeatures``.
  ///   - threads: The moments do not depend on it.
  /// - Throws: ``UserError`` for other sizes, and for features that are not finite.
  public init(of features: Matrix, threads: Int) throws {
    try features.checkFeatures(atLeast: 2, for: "a covariance")
    guard features.columns <= Self.mostFeatures else {
      throw UserError(
        "a covariance is of \(Self.mostFeatures) features at most, not \(features.columns)")
    }
    (mean, covariance) = try meanAndCovariance(of: features, threads: threads)
  }

  init(mean: [Double], covariance: [Double]) {
    precondition(covariance.count == mean.count * mean.count, "a row for each element of the mean")
    self.mean = mean
    self.covariance = covariance
  }

  fileprivate var trace: Double {
    stride(from: 0, to: covariance.count, by: mean.count + 1).reduce(0) { $0 + covariance[$1] }
  }

  /// `Λ^½ Vᵀ` of the covariance `V Λ Vᵀ`: a row per eigenvalue that is not zero, as far as rounding
  /// can tell. The others are left out since the root of a rounding error is no small number.
  fileprivate func root() throws -> [Double] {
    let d = mean.count
    let (values, vectors) = try symmetricEigen(covariance, n: d)
    let smallest = Double(max(d, 16)) * .ulpOfOne * (values.last ?? 0)
    return values.indices.filter { values[$0] > max(0, smallest) }.flatMap { k in
      vectors[k * d..<(k + 1) * d].map { values[k].squareRoot() * $0 }
    }
  }
}

/// The squared Fréchet distance of the Gaussians with these moments (Dowson & Landau 1982; of
/// Inception features it is the FID of Heusel et al. 2017, eq. 6):
/// `‖μ₁ - μ₂‖² + tr C₁ + tr C₂ - 2 tr (C₁^½ C₂ C₁^½)^½`.
///
/// The last trace is computed as the sum of the singular values of `C₁^½ C₂^½`, which needs no
/// root of a matrix that may be singular. Covariances of fewer images than features are fine; but
/// the fewer images, the larger the distance is on average.
///
/// - Returns: 0 or more, in squared units of the features.
/// - Throws: ``UserError`` for moments of different features; ``LinearAlgebraError`` when LAPACK
///   fails.
public func frechetDistance(_ a: Moments, _ b: Moments, threads: Int) throws -> Double {
  let d = a.mean.count
  try checkWidths(d, b.mean.count, for: "the Fréchet distance")
  let roots = try concurrently(2, threads: threads) { try ($0 == 0 ? a : b).root() }
  let shared = try singularValues(ofProduct: roots[0], transposed: roots[1], inner: d)
  let shift = zip(a.mean, b.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  return max(0, shift + a.trace + b.trace - 2 * shared.reduce(0, +))
}
