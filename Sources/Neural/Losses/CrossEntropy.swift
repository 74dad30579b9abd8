/// `-Σ x ln p + (1 - x) ln(1 - p)` with p = sigmoid(logits), in nats, and its derivative by the
/// logits. The targets x may be anywhere in [0, 1].
///
/// - Parameters:
///   - logits: `[batch, features]`
///   - targets: `[batch, features]`
public func crossEntropy(
  logits: Matrix, targets: Matrix
) -> (loss: Double, derivative: Matrix) {
  let terms = logits.map(with: targets) { l, x in Elementary.softplus(l) - x * l }
  let derivative = logits.map(with: targets) { l, x in Elementary.sigmoid(l) - x }
  return (terms.elements.sum, derivative)
}
