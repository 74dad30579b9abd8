/// 3×3 convolution of maps within a border of zeros, at stride s:
///
///     y[i, j] = Σ W[ky, kx] x[s i + ky - 1, s j + kx - 1] + b
///
/// With the neighbourhoods of the pixels as rows of a matrix N, `y = N Wᵀ + b`; at stride 1, where
/// the numbers of channels allow it, by ``Winograd``'s algorithm.
public struct Convolution3x3: Layer {
  var weight: Parameter  // [outputs, 9·inputs], columns ordered (ky, kx, input)
  var bias: Parameter  // [1, outputs]
  let neighbourhoods: Neighbourhoods
  let winograd: Winograd?

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
    neighbourhoods = Neighbourhoods(input: map, channels: inputs, stride: stride)
    winograd =
      stride == 1 && Winograd.takes(inputs, outputs) ? Winograd(inputs, outputs, on: map) : nil
  }

  public var outputs: Int { weight.value.rows }

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Matrix) {
    if let winograd {
      return (winograd.forward(x, weight: weight.value, bias: bias.value), x)
    }
    let batch = batch(x)
    var y = Matrix(batch * neighbourhoods.output.pixels, outputs)
    var (columns, part) = (Matrix(0, 0), Matrix(0, 0))
    for lines in neighbourhoods.blocks(batch: batch) {
      neighbourhoods.gather(x, lines, into: &columns)
      part.replace(byProduct: columns, weight.value.transposed)
      y.replace(rowsFrom: neighbourhoods.pixels(lines).lowerBound, by: part, plus: bias.value)
    }
    return (y, x)
  }

  public func backward(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) -> Matrix {
    if let winograd {
      gradients[bias].add(rowsOf: dy)
      return winograd.backward(dy, x, weight: weight.value, &gradients[weight])
    }
    backwardFromData(dy, x, &gradients)
    var dx = Matrix(x.rows, x.columns)
    var columns = Matrix(0, 0)
    for lines in neighbourhoods.blocks(batch: batch(x)) {
      columns.replace(byProduct: dy.rows(neighbourhoods.pixels(lines)), weight.value)  // dN = dy W
      neighbourhoods.scatter(columns, lines, to: &dx)
    }
    return dx
  }

  public func backwardFromData(_ dy: Matrix, _ x: Matrix, _ gradients: inout Gradients) {
    var columns = Matrix(0, 0)
    for lines in neighbourhoods.blocks(batch: batch(x)) {
      neighbourhoods.gather(x, lines, into: &columns)
      let part = dy.rows(neighbourhoods.pixels(lines))
      gradients[weight].add(product: part.transposed, columns)  // dW += dyᵀ N
    }
    gradients[bias].add(rowsOf: dy)  // db += Σ dy
  }

  private func batch(_ x: Matrix) -> Int {
    precondition(x.columns == neighbourhoods.channels, "maps of \(x.columns) channels")
    return neighbourhoods.input.batch(of: x)
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try body(path + ".weight", &weight)
    try body(path + ".bias", &bias)
  }
}

extension Matrix {
  /// Makes the rows from `first` on equal to those of `part`, each plus the one row `row`.
  fileprivate mutating func replace(rowsFrom first: Int, by part: Matrix, plus row: Matrix) {
    precondition(part.columns == columns && row.columns == columns && first + part.rows <= rows)
    let (width, count, start) = (columns, part.elements.count, first * columns)
    var y = elements.mutableSpan
    let part = part.elements.span
    let row = row.elements.span
    for from in stride(from: 0, to: count, by: width) {
      for i in 0..<width { y[start + from + i] = part[from + i] + row[i] }
    }
  }
}
