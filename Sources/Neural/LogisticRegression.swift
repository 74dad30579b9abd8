import RealModule

/// Logistic regression of two classes, `p(1|x) = 1/(1 + e^-(w·x + b))`.
public struct LogisticRegression: Sendable {
  public let weights: [Double]
  public let intercept: Double

  /// Maximises `Σ ln p(y|x) - penalty/2 ‖w‖²` by Newton's method, whose steps are halved until they
  /// lead up.
  ///
  /// - Parameters:
  ///   - x: `[points, dimensions]`
  ///   - isOne: the class of each point.
  ///   - penalty: above 0, or points that a plane parts have no finite w.
  /// - Throws: ``LinearAlgebraError`` for numbers that are not finite, and where one class has no point.
  public init(_ x: Matrix, _ isOne: [Bool], penalty: Double) throws {
    precondition(x.rows == isOne.count, "a class for every point")
    precondition(penalty > 0, "penalty must be above 0")
    guard x.isFinite else { throw LinearAlgebraError(description: "points must be finite") }
    guard isOne.contains(true), isOne.contains(false) else {
      throw LinearAlgebraError(description: "points of both classes are needed")
    }
    let n = x.columns + 1
    let points = (0..<x.rows).map { row in x.row(row).map { Double($0) } + [1] }
    let penalties = [Double](repeating: penalty, count: n - 1) + [0]

    func score(_ point: [Double], _ w: [Double]) -> Double {
      zip(point, w).reduce(0) { $0 + $1.0 * $1.1 }
    }
    func objective(_ w: [Double]) -> Double {
      var sum = -zip(penalties, w).reduce(0) { $0 + $1.0 * $1.1 * $1.1 } / 2
      for (point, isOne) in zip(points, isOne) {
        let margin = isOne ? score(point, w) : -score(point, w)
        // ln p = -ln(1 + e^-margin), so written that nothing overflows.
        sum -= max(0, -margin) + .log(onePlus: .exp(-abs(margin)))
      }
      return sum
    }

    var w = [Double](repeating: 0, count: n)
    var value = objective(w)
    for _ in 0..<100 {
      var gradient = zip(penalties, w).map { -$0 * $1 }
      var curvature = [Double](repeating: 0, count: n * n)
      for i in 0..<n { curvature[i * n + i] = penalties[i] }
      for (point, isOne) in zip(points, isOne) {
        let p = 1 / (1 + .exp(-score(point, w)))
        let (error, weight) = ((isOne ? 1 : 0) - p, p * (1 - p))
        for i in 0..<n {
          gradient[i] += error * point[i]
          for j in 0...i { curvature[i * n + j] += weight * point[i] * point[j] }
        }
      }
      guard let factor = cholesky(curvature, n: n) else {
        throw LinearAlgebraError(description: "the curvature is not positive definite")
      }
      let inverse = inverse(ofCholesky: factor, n: n)
      let step = (0..<n).map { i in
        (0..<n).reduce(0) { $0 + inverse[max(i, $1) * n + min(i, $1)] * gradient[$1] }
      }
      // What the whole step gains if the objective is quadratic.
      let gain = zip(gradient, step).reduce(0) { $0 + $1.0 * $1.1 } / 2
      guard gain > 1e-13 * Double(points.count) else { break }
      var share = 1.0
      var (next, found) = (w, value)
      repeat {
        next = zip(w, step).map { $0 + share * $1 }
        found = objective(next)
        share /= 2
      } while found < value && share > 1e-10
      guard found >= value else { break }
      (w, value) = (next, found)
    }
    weights = Array(w.dropLast())
    intercept = w[n - 1]
  }
}
