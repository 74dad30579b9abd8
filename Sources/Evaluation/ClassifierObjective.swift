import DiffuseVAE
import Neural

/// The mean of -ln p(label | image), in nats, each image moved by up to one pixel in either
/// direction, all nine ways being as likely.
struct ClassifierObjective: Objective {
  let map: MapShape
  /// Of every image of the set that is trained on.
  let labels: [UInt8]

  let terms = ["loss"]

  struct Residuals: Sendable {
    let network: Classifier.Residuals
    let derivative: Matrix
  }

  func forward(_ network: Classifier, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
    let translations = slice.stream(.translation).integers(rows: slice.rows, below: 9)
      .map { Translation(down: $0 / 3 - 1, right: $0 % 3 - 1) }
    let (logits, residuals) = network.forward(slice.examples.translated(by: translations, on: map))
    var (loss, derivative) = softmaxCrossEntropy(
      logits: logits, labels: slice.indices.map { labels[$0] })
    let scale = 1 / Double(slice.batch)
    derivative.scale(Float(scale))
    return ([scale * loss], Residuals(network: residuals, derivative: derivative))
  }

  func backward(_ network: Classifier, _ residuals: Residuals, _ gradients: inout Gradients) {
    network.backward(residuals.derivative, residuals.network, &gradients)
  }
}
