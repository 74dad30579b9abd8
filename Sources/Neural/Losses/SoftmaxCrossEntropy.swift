import RealModule

extension Matrix {
  /// `eˣ / Σ eˣ` along every row: logits `[batch, classes]` as probabilities.
  public func softmax() -> Matrix {
    var p = self
    _ = normaliseExponentials(&p.elements, width: columns)
    return p
  }
}

/// `-Σ_r ln p_r[label_r]` with p = softmax(logits), in nats, and its derivative by the logits.
///
/// - Parameters:
///   - logits: `[batch, classes]`
///   - labels: one for each example, less than `classes`.
public func softmaxCrossEntropy(
  logits: Matrix, labels: [UInt8]
) -> (loss: Double, derivative: Matrix) {
  precondition(labels.count == logits.rows && labels.allSatisfy { $0 < logits.columns })
  var derivative = logits  // p - 1 at the label, p elsewhere
  let logSums = normaliseExponentials(&derivative.elements, width: logits.columns)
  var loss = 0.0
  for (row, label) in labels.enumerated() {
    loss += logSums[row] - Double(logits[row, Int(label)])
    derivative[row, Int(label)] -= 1
  }
  return (loss, derivative)
}

/// Replaces every row of x by its softmax.
///
/// - Returns: ln Σ eˣ of each row.
private func normaliseExponentials(_ x: inout [Float], width: Int) -> [Double] {
  let rows = x.count / max(width, 1)
  var logSums = [Double](repeating: 0, count: rows)
  var x = x.mutableSpan
  for row in 0..<rows {
    let start = row * width
    // The largest exponent becomes 0, so that nothing overflows.
    var largest = -Float.infinity
    for i in 0..<width { largest = max(largest, x[start + i]) }
    var sum: Float = 0
    for i in 0..<width {
      x[start + i] = Elementary.exp(x[start + i] - largest)
      sum += x[start + i]
    }
    for i in 0..<width { x[start + i] /= sum }
    logSums[row] = Double(largest) + Double.log(Double(sum))
  }
  return logSums
}
