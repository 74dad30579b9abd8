import RealModule

/// The numbers of one row of ``chosenVarianceLosses(_:_:_:_:weights:)``.
public struct ChosenVariance: Sendable {
  public let constant, range, known, error: Float

  public init(constant: Double, range: Double, known: Double, error: Double) {
    self.constant = Float(constant)
    self.range = Float(range)
    self.known = Float(known)
    self.error = Float(error)
  }
}

/// `½ Σ_i (constant + range v_i + (known + error d_i²) e^(-range v_i))` of every row with
/// `d = output - target`, and the derivative by v of the sum of the rows, each times its weight.
///
/// That is what a Gaussian costs whose variance grows like e^(range v), so far is its mean off; d is
/// held, and nothing is differentiated by it.
///
/// - Parameters:
///   - v: `[rows, features]`, as `output` and `target`.
///   - rows: the numbers of each row.
///   - weights: one for each row.
public func chosenVarianceLosses(
  _ v: Matrix, _ output: Matrix, _ target: Matrix, _ rows: [ChosenVariance], weights: [Float]
) -> (losses: [Double], derivative: Matrix) {
  precondition(v.hasShape(of: output) && v.hasShape(of: target), "a choice for each feature")
  precondition(rows.count == v.rows && weights.count == v.rows, "numbers for every row")
  var derivative = v
  let losses = choose(
    &derivative.elements, output.elements, target.elements, rows, weights, width: v.columns)
  return (losses, derivative)
}

/// Replaces v by the derivative, row by row, and returns the loss of each.
private func choose(
  _ v: inout [Float], _ output: [Float], _ target: [Float], _ rows: [ChosenVariance],
  _ weights: [Float], width: Int
) -> [Double] {
  var losses = [Double](repeating: 0, count: rows.count)
  var v = v.mutableSpan
  let (output, target) = (output.span, target.span)
  for row in rows.indices {
    let (k, b, m, q) = (rows[row].constant, rows[row].range, rows[row].known, rows[row].error)
    let (slope, start) = (weights[row] * b / 2, row * width)
    for first in stride(from: start, to: start + width, by: 1024) {
      var sum: Float = 0
      for i in first..<min(first + 1024, start + width) {
        let d = output[i] - target[i]
        let rest = (m + q * d * d) * Elementary.exp(-b * v[i])
        sum = Relaxed.sum(sum, k + b * v[i] + rest)
        v[i] = slope * (1 - rest)
      }
      losses[row] += Double(sum) / 2
    }
  }
  return losses
}
