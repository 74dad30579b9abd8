import RealModule

/// `Σ_r weights[r] · ‖output_r - target_r‖²`, and its derivative by the output.
///
/// - Parameters:
///   - output: `[batch, features]`
///   - target: `[batch, features]`
///   - weights: one for each example.
public func squaredError(
  _ output: Matrix, _ target: Matrix, weights: [Float]
) -> (loss: Double, derivative: Matrix) {
  let (losses, derivative) = squaredErrors(output, target, weights: weights)
  return (losses.reduce(0, +), derivative)
}

/// `weights[r] · ‖output_r - target_r‖²` of every row, and the derivative of their sum by the output.
///
/// - Parameters:
///   - output: `[rows, features]`
///   - target: `[rows/k, features]`: each is that of k rows, one after the other.
///   - weights: one for each row.
public func squaredErrors(
  _ output: Matrix, _ target: Matrix, weights: [Float]
) -> (losses: [Double], derivative: Matrix) {
  let k = output.rowsPerTarget(target)
  precondition(weights.count == output.rows, "a weight for every row")
  var derivative = output
  let losses = weighDifferences(
    &derivative.elements, target.elements, weights, width: output.columns, rowsPerTarget: k)
  return (losses, derivative)
}

/// Replaces x by 2 w (x - target), row by row, and returns w ‖x - target‖² of each.
private func weighDifferences(
  _ x: inout [Float], _ target: [Float], _ weights: [Float], width: Int, rowsPerTarget k: Int
) -> [Double] {
  var losses = [Double](repeating: 0, count: weights.count)
  var x = x.mutableSpan
  let target = target.span
  for row in weights.indices {
    let weight = weights[row]
    let (from, to) = (row / k * width, row * width)
    var sum: Float = 0
    for i in 0..<width {
      let d = x[to + i] - target[from + i]
      sum = Relaxed.multiplyAdd(d, d, sum)
      x[to + i] = 2 * weight * d
    }
    losses[row] = Double(weight) * Double(sum)
  }
  return losses
}
