/// `Σ weight (√(‖output - target‖² + c²) - c)` over the rows, and its derivative by the output
/// (Song & Dhariwal 2023, "Improved Techniques for Training Consistency Models", section 3.3): the
/// distance of a row where it is far, its square where it is within c.
///
/// - Parameters:
///   - output: `[rows, columns]`, as `target`.
///   - scale: c, positive.
///   - weight: of every row.
public func pseudoHuber(
  _ output: Matrix, _ target: Matrix, scale c: Double, weight: Double
) -> (loss: Double, derivative: Matrix) {
  var derivative = output
  derivative.add(-1, target)
  var loss = 0.0
  let factors = (0..<output.rows).map { row in
    let distance = (derivative.rows(row..<row + 1).squaredNorm + c * c).squareRoot()
    loss += weight * (distance - c)
    return Float(weight / distance)
  }
  derivative.scaleRows(
    factors, adding: [Float](repeating: 0, count: output.rows), target)
  return (loss, derivative)
}
