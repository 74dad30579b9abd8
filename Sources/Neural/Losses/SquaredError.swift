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
  precondition(output.hasShape(of: target) && weights.count == output.rows)
  var derivative = output
  let loss = weighDifferences(
    &derivative.elements, target.elements, weights, width: output.columns)
  return (loss, derivative)
}

/// Replaces x by 2 w (x - target), row by row, and returns Σ w (x - target)².
private func weighDifferences(
  _ x: inout [Float], _ target: [Float], _ weights: [Float], width: Int
) -> Double {
  var x = x.mutableSpan
  let target = target.span
  var loss = 0.0
  for row in weights.indices {
    let weight = weights[row]
    var sum: Float = 0
    for i in row * width..<(row + 1) * width {
      let d = x[i] - target[i]
      sum = Relaxed.multiplyAdd(d, d, sum)
      x[i] = 2 * weight * d
    }
    loss += Double(weight) * Double(sum)
  }
  return loss
}
