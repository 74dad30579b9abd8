import RealModule

/// `-Σ x ln p + (1 - x) ln(1 - p)` with p = sigmoid(logits), of every row, in nats.
///
/// - Parameters:
///   - logits: `[rows, features]`
///   - targets: x, anywhere in [0, 1], `[rows/k, features]`: each is that of k rows, one after the
///     other.
public func crossEntropies(logits: Matrix, targets: Matrix) -> [Double] {
  let (width, k) = (logits.columns, logits.rowsPerTarget(targets))
  let (l, x) = (logits.elements.span, targets.elements.span)
  return (0..<logits.rows).map { row in
    let (from, target) = (row * width, row / k * width)
    let (l, x) = (l.extracting(from..<from + width), x.extracting(target..<target + width))
    return blocked(width) { range in
      var sum: Float = 0
      for i in range {
        // ln(1 + eˡ) - x l, without the difference of two large numbers.
        let rest = Elementary.log(1 + Elementary.exp(-abs(l[i])))
        sum = Relaxed.sum(sum, max(l[i], 0) - x[i] * l[i] + rest)
      }
      return sum
    }
  }
}

/// The derivative by the logits of the sum of all ``crossEntropies(logits:targets:)``: `p - x`.
public func crossEntropyDerivative(logits: Matrix, targets: Matrix) -> Matrix {
  let (width, k) = (logits.columns, logits.rowsPerTarget(targets))
  var derivative = Matrix(unset: logits.rows, width)
  var d = derivative.elements.mutableSpan
  let (l, x) = (logits.elements.span, targets.elements.span)
  for row in 0..<logits.rows {
    let (from, target) = (row * width, row / k * width)
    let (l, x) = (l.extracting(from..<from + width), x.extracting(target..<target + width))
    var d = d._mutatingExtracting(from..<from + width)
    for i in 0..<width { d[i] = Elementary.sigmoid(l[i]) - x[i] }
  }
  return derivative
}

extension Matrix {
  /// k, where every row of `targets` is that of k rows of this.
  func rowsPerTarget(_ targets: Matrix) -> Int {
    precondition(columns == targets.columns, "targets as wide as what is to meet them")
    guard targets.rows > 0 else {
      precondition(rows == 0, "no target")
      return 1
    }
    precondition(rows.isMultiple(of: targets.rows), "as many rows for each target")
    return max(1, rows / targets.rows)
  }
}
