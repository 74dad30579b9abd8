/// `y = x Wᵀ + b`
public struct Linear: Layer {
  var weight: Parameter  // [outputs, inputs]
  var bias: Parameter  // [1, outputs]

  /// Weights and bias start uniform in ±1/√inputs, as PyTorch's `nn.Linear` does; at zero when
  /// `zero` is set, for the last layer of a branch that is to start as nothing.
  public init(_ inputs: Int, _ outputs: Int, zero: Bool = false, _ source: inout ParameterSource) {
    weight =
      zero ? source.constant(outputs, inputs) : source.uniform(outputs, inputs, fanIn: inputs)
    bias = zero ? source.constant(1, outputs) : source.uniform(1, outputs, fanIn: inputs)
  }

  public var inputs: Int { weight.value.columns }

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Matrix) {
    var y = x * weight.value.transposed
    y.add(toRows: bias.value)
    return (y, x)
  }

  public func backward(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) -> Matrix {
    backwardFromData(dy, x, &gradients)
    return dy * weight.value  // dx = dy W
  }

  public func backwardFromData(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) {
    gradients[weight].add(product: dy.transposed, x)  // dW += dyᵀ x
    gradients[bias].add(rowsOf: dy)  // db += Σ dy
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try body(path + ".weight", &weight)
    try body(path + ".bias", &bias)
  }
}
