/// A residual block of convolutions, steered by an embedding `e` (Dhariwal & Nichol 2021):
///
///     u = C1(SiLU(N1(h)))
///     (scale, shift) = M(e)
///     y = S(h) + C2(SiLU(N2(u) (1 + scale) + shift))
///
/// `S` is the identity, or a 1×1 convolution if the number of channels changes.
public struct ConvolutionalBlock: Parameterized {
  var norm1: GroupNorm
  var convolution1: Convolution3x3
  var modulation: Linear  // embedding → 2·outputs: scale, shift
  var norm2: GroupNorm
  var convolution2: Convolution3x3
  var shortcut: Linear?  // S
  let map: MapShape

  public struct Residuals: Sendable {
    let norm1: GroupNorm.Residuals
    let sum1: Matrix  // before the first SiLU
    let activated1: Matrix
    let e: Matrix
    let modulation: Matrix  // [batch, 2·outputs]
    let norm2: GroupNorm.Residuals
    let normal: Matrix  // N2(u)
    let sum2: Matrix  // before the second SiLU
    let activated2: Matrix  // after dropout
    let dropout: Dropout?
  }

  /// - Parameters:
  ///   - inputs: channels of the input.
  ///   - outputs: channels of the output.
  ///   - groups: of either norm.
  public init(
    _ inputs: Int, _ outputs: Int, groups: Int, embedding: Int, on map: MapShape,
    _ source: inout ParameterSource
  ) {
    norm1 = GroupNorm(inputs, groups: groups, on: map, &source)
    convolution1 = Convolution3x3(inputs, outputs, on: map, &source)
    modulation = Linear(embedding, 2 * outputs, &source)
    norm2 = GroupNorm(outputs, groups: groups, on: map, &source)
    convolution2 = Convolution3x3(outputs, outputs, on: map, &source)
    shortcut = inputs == outputs ? nil : Linear(inputs, outputs, &source)
    self.map = map
  }

  /// - Parameters:
  ///   - h: `[batch·height·width, inputs]`
  ///   - e: `[batch, embedding]`
  ///   - dropout: of the second SiLU's output, in training.
  public func forward(
    _ h: Matrix, _ e: Matrix, dropout: Dropout? = nil
  ) -> (y: Matrix, residuals: Residuals) {
    let (sum1, norm1Residuals) = norm1.forward(h)
    let activated1 = SiLU()(sum1)
    let u = convolution1(activated1)
    let m = modulation(e)
    let (normal, norm2Residuals) = norm2.forward(u)
    var sum2 = normal
    modulate(&sum2.elements, m.elements, channels: u.columns, pixels: map.pixels)
    var activated2 = SiLU()(sum2)
    dropout?.apply(to: &activated2)
    var y = convolution2(activated2)
    y.add(shortcut?(h) ?? h)
    return (
      y,
      Residuals(
        norm1: norm1Residuals, sum1: sum1, activated1: activated1, e: e, modulation: m,
        norm2: norm2Residuals, normal: normal, sum2: sum2, activated2: activated2,
        dropout: dropout)
    )
  }

  /// - Returns: derivatives of the loss by `h` and by `e`.
  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> (dh: Matrix, de: Matrix) {
    let (r, channels, pixels) = (residuals, dy.columns, map.pixels)
    // `dh` becomes the derivative of each inner stage in turn.
    var dh = convolution2.backward(dy, r.activated2, &gradients)
    r.dropout?.apply(to: &dh)
    dh = SiLU().backward(dh, r.sum2, &gradients)
    var dm = Matrix(r.modulation.rows, r.modulation.columns)
    modulationDerivatives(
      &dh.elements, &dm.elements, r.normal.elements, r.modulation.elements, channels: channels,
      pixels: pixels)
    dh = norm2.backward(dh, r.norm2, &gradients)
    dh = convolution1.backward(dh, r.activated1, &gradients)
    dh = SiLU().backward(dh, r.sum1, &gradients)
    dh = norm1.backward(dh, r.norm1, &gradients)
    dh.add(shortcut?.backward(dy, r.norm1.x, &gradients) ?? dy)
    return (dh, modulation.backward(dm, r.e, &gradients))
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try norm1.visit(path + ".norm1", body)
    try convolution1.visit(path + ".convolution1", body)
    try modulation.visit(path + ".modulation", body)
    try norm2.visit(path + ".norm2", body)
    try convolution2.visit(path + ".convolution2", body)
    try shortcut?.visit(path + ".shortcut", body)
  }
}

// A row of the modulation `m`, [scale | shift], holds for all pixels of a map.

/// `x (1 + scale) + shift`
private func modulate(_ x: inout [Float], _ m: [Float], channels: Int, pixels: Int) {
  precondition(m.count * pixels == 2 * x.count)
  let (batch, size) = (m.count / (2 * channels), channels * pixels)
  var x = x.mutableSpan
  let m = m.span
  for image in 0..<batch {
    let (scale, shift) = (2 * image * channels, (2 * image + 1) * channels)
    for start in stride(from: image * size, to: (image + 1) * size, by: channels) {
      for c in 0..<channels { x[start + c] = x[start + c] * (1 + m[scale + c]) + m[shift + c] }
    }
  }
}

/// From d, the derivative by the modulated: `dscale = Σ d ⊙ x`, `dshift = Σ d`, `d = d (1 + scale)`.
private func modulationDerivatives(
  _ d: inout [Float], _ dm: inout [Float], _ x: [Float], _ m: [Float], channels: Int, pixels: Int
) {
  precondition(x.count == d.count && m.count * pixels == 2 * x.count && dm.count == m.count)
  let (batch, size) = (m.count / (2 * channels), channels * pixels)
  var d = d.mutableSpan
  var dm = dm.mutableSpan
  let x = x.span
  let m = m.span
  for image in 0..<batch {
    let (scale, shift) = (2 * image * channels, (2 * image + 1) * channels)
    for start in stride(from: image * size, to: (image + 1) * size, by: channels) {
      for c in 0..<channels {
        dm[scale + c] += d[start + c] * x[start + c]
        dm[shift + c] += d[start + c]
        d[start + c] *= 1 + m[scale + c]
      }
    }
  }
}
