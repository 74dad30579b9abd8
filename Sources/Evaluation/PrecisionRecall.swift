import DiffuseVAE
import Neural

/// Improved precision and recall (Kynkäänniemi et al. 2019, Algorithm 1).
///
/// A set's manifold is the union of balls, one around each image, as far as its k-th nearest other
/// image of the set. The surface belongs to the ball; equal distances compare as equal, because
/// those that decide are computed in double precision, in the same way in both places.
public struct PrecisionRecall: Equatable, Sendable {
  /// Fraction of generated images within the manifold of real ones: how good they look.
  public let precision: Double
  /// Fraction of real images within the manifold of generated ones: how much is covered.
  public let recall: Double

  /// Time grows with the number of pairs of images, memory does not.
  ///
  /// - Parameters:
  ///   - real: features, `[n, d]`, a row per image. Values depend on n and m; compare only what was
  ///     measured with the same numbers.
  ///   - generated: features, `[m, d]`.
  ///   - neighbours: k, 1… and less than n and m; the paper's 3.
  ///   - threads: The result does not depend on it.
  /// - Throws: ``UserError`` for other sizes, and for features that are not finite.
  public init(
    real: Matrix, generated: Matrix, neighbours: Int = 3, threads: Int
  ) throws {
    let most = min(real.rows, generated.rows) - 1
    guard neighbours > 0, neighbours <= most else {
      throw UserError(
        "precision and recall of \(real.rows) and \(generated.rows) images take from 1 neighbour "
          + "to one less than there are images, not \(neighbours)")
    }
    for features in [real, generated] {
      try features.checkFeatures(atLeast: 2, for: "precision and recall")
    }
    try checkWidths(real.columns, generated.columns, for: "precision and recall")
    func fraction(of points: Matrix, within centres: Matrix) throws -> Double {
      let radii = try neighbourDistances(of: centres, k: neighbours, threads: threads)
      let covered = try areCovered(points, by: centres, squaredRadii: radii, threads: threads)
      return Double(covered.count { $0 }) / Double(covered.count)
    }
    precision = try fraction(of: generated, within: real)
    recall = try fraction(of: real, within: generated)
  }
}
