/// 3×3 convolution of maps within a border of zeros, at stride s:
///
///     y[i, j] = Σ W[ky, kx] x[s i + ky - 1, s j + kx - 1] + b
///
/// There are three ways to make products of it. At stride 1 it is ``Winograd``'s algorithm where
/// the numbers of channels allow that, else ``ScatteredConvolution`` if the outputs are few;
/// everything else is a ``GatheredConvolution``.
public struct Convolution3x3: Layer {
  var weight: Parameter {  // [outputs, 9·inputs], columns ordered (ky, kx, input)
    didSet { kernels = nil }
  }
  var bias: Parameter  // [1, outputs]
  let inputs: Int
  let lowering: Lowering
  /// Of the weight, once prepared: as `forward` takes them, and as `backward` does.
  private var kernels: (forward: Matrix, backward: Matrix?)?

  enum Lowering: Sendable {
    case gathered(GatheredConvolution)
    case scattered(ScatteredConvolution)
    case winograd(Winograd)
  }

  /// Weights and bias start uniform in ±1/√(9·inputs), as PyTorch's `nn.Conv2d` does; at zero when
  /// `zero` is set, for the last layer of a branch that is to start as nothing.
  ///
  /// - Parameters:
  ///   - map: the size of the input.
  ///   - stride: 1, or 2 for half the size.
  public init(
    _ inputs: Int, _ outputs: Int, on map: MapShape, stride: Int = 1, zero: Bool = false,
    _ source: inout ParameterSource
  ) {
    let fanIn = 9 * inputs
    weight =
      zero ? source.constant(outputs, fanIn) : source.uniform(outputs, fanIn, fanIn: fanIn)
    bias = zero ? source.constant(1, outputs) : source.uniform(1, outputs, fanIn: fanIn)
    self.inputs = inputs
    lowering =
      if stride == 1 && Winograd.takes(inputs, outputs) {
        .winograd(Winograd(inputs, outputs, on: map))
      } else if stride == 1 && outputs < inputs {
        .scattered(ScatteredConvolution(inputs, outputs, on: map))
      } else {
        .gathered(GatheredConvolution(inputs, on: map, stride: stride))
      }
  }

  public var outputs: Int { weight.value.rows }

  /// How many numbers ``prepare(training:)`` makes for the training of a convolution like that.
  public static func preparedCount(_ inputs: Int, _ outputs: Int, stride: Int = 1) -> Int {
    stride == 1 && Winograd.takes(inputs, outputs) ? 2 * 36 * inputs * outputs : 0
  }

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Matrix) {
    (forward(x, plus: nil), x)
  }

  /// The convolution of `x`, to which `residual`, maps like its result, is added.
  func forward(_ x: Matrix, plus residual: Matrix?) -> Matrix {
    precondition(x.columns == inputs, "maps of \(x.columns) channels")
    let (weight, bias) = (weight.value, bias.value)
    if let residual { precondition(residual.columns == outputs, "a residual of other channels") }
    var y: Matrix
    switch lowering {
    case .winograd(let way):
      let u = kernels?.forward ?? way.kernels(weight, inputsFirst: true)
      return way.forward(x, u, bias, plus: residual)
    case .gathered(let way): y = way.forward(x, weight, bias)
    case .scattered(let way): y = way.forward(x, weight, bias)
    }
    if let residual { y.add(residual) }
    return y
  }

  public func backward(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) -> Matrix {
    gradients[bias].add(rowsOf: dy)
    return switch lowering {
    case .gathered(let way): way.backward(dy, x, weight.value, &gradients[weight].sum)
    case .scattered(let way): way.backward(dy, x, weight.value, &gradients[weight].sum)
    case .winograd(let way):
      way.backward(
        dy, x, kernels?.backward ?? way.kernels(weight.value, inputsFirst: false),
        &gradients[weight].sum)
    }
  }

  public func backwardFromData(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) {
    guard case .gathered(let way) = lowering else {
      _ = backward(dy, x, &gradients)
      return
    }
    gradients[bias].add(rowsOf: dy)
    way.addWeightDerivative(dy, x, to: &gradients[weight].sum)
  }

  public mutating func prepare(training: Bool) {
    guard case .winograd(let way) = lowering else { return }
    kernels = (
      way.kernels(weight.value, inputsFirst: true),
      training ? way.kernels(weight.value, inputsFirst: false) : nil
    )
  }

  /// How many numbers it holds of those that ``prepare(training:)`` made.
  public var preparedCount: Int {
    (kernels?.forward.elements.count ?? 0) + (kernels?.backward?.elements.count ?? 0)
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try body(path + ".weight", &weight)
    try body(path + ".bias", &bias)
  }
}
