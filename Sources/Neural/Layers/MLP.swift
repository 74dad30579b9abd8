/// Linear layers with an activation between them.
public struct MLP: Layer {
  var layers: [Linear]
  let activation: Activation

  public struct Residuals: Sendable {
    var inputs: [Matrix] = []  // of each linear layer
    var sums: [Matrix] = []  // before each activation
  }

  /// - Parameter widths: of the input, of every hidden layer, and of the output; at least two.
  public init(
    _ widths: [Int], _ source: inout ParameterSource, activation: Activation = .silu
  ) {
    self.activation = activation
    precondition(widths.count >= 2, "an MLP has an input and an output")
    layers = []
    for (inputs, outputs) in zip(widths, widths.dropFirst()) {
      layers.append(Linear(inputs, outputs, &source))
    }
  }

  public var inputs: Int { layers[0].inputs }

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Residuals) {
    var residuals = Residuals()
    var h = x
    for (i, layer) in layers.enumerated() {
      if i > 0 {
        residuals.sums.append(h)
        h = activation.forward(h)
      }
      residuals.inputs.append(h)
      h = layer(h)
    }
    return (h, residuals)
  }

  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> Matrix {
    layers[0].backward(
      backwardToFirst(dy, residuals, &gradients), residuals.inputs[0], &gradients)
  }

  public func backwardFromData(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) {
    layers[0].backwardFromData(
      backwardToFirst(dy, residuals, &gradients), residuals.inputs[0], &gradients)
  }

  /// Down to the derivative by the first layer's output.
  private func backwardToFirst(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> Matrix {
    var dh = dy
    for i in layers.indices.dropFirst().reversed() {
      dh = layers[i].backward(dh, residuals.inputs[i], &gradients)
      dh = activation.backward(dh, residuals.sums[i - 1])
    }
    return dh
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try layers.visit(path, body)
  }
}
