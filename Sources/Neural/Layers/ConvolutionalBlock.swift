/// A residual block of convolutions, steered by an embedding `e` (Dhariwal & Nichol 2021):
///
///     u = C1(SiLU(N1(h)))
///     (scale, shift) = M(e)
///     y = S(h) + C2(SiLU(N2(u) (1 + scale) + shift))
///
/// `S` is the identity, or a 1×1 convolution if the number of channels changes. In a decoder the
/// input comes in two parts, maps from below and others from the encoder, which are joined only if
/// `S` is the identity.
public struct ConvolutionalBlock: Parameterized {
  var norm1: GroupNormSiLU
  var convolution1: Convolution3x3
  var modulation: Linear  // embedding → 2·outputs: scale, shift
  var norm2: GroupNormSiLU
  var convolution2: Convolution3x3
  var shortcut: Linear?  // S
  let map: MapShape

  public struct Residuals: Sendable {
    let norm1: GroupNormSiLU.Residuals
    let activated1: Matrix
    let e: Matrix
    let norm2: GroupNormSiLU.Residuals
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
    norm1 = GroupNormSiLU(inputs, groups: groups, on: map, &source)
    convolution1 = Convolution3x3(inputs, outputs, on: map, &source)
    modulation = Linear(embedding, 2 * outputs, &source)
    norm2 = GroupNormSiLU(outputs, groups: groups, on: map, &source)
    convolution2 = Convolution3x3(outputs, outputs, on: map, &source)
    shortcut = inputs == outputs ? nil : Linear(inputs, outputs, &source)
    self.map = map
  }

  /// - Parameters:
  ///   - h: `[batch·height·width, inputs]`; or fewer channels, if the rest comes beside it, and then
  ///     perhaps maps of half the height and width, to be enlarged.
  ///   - skip: the last channels of the input, if `h` is not all.
  ///   - e: `[batch, embedding]`
  ///   - dropout: of the second SiLU's output, in training.
  public func forward(
    _ h: Matrix, beside skip: Matrix? = nil, _ e: Matrix, dropout: Dropout? = nil
  ) -> (y: Matrix, residuals: Residuals) {
    let parts = parts(h, skip, batch: e.rows)
    let (activated1, norm1Residuals) = norm1.forward(parts)
    let u = convolution1(activated1)
    var (activated2, norm2Residuals) = norm2.forward(u, modulation: modulation(e))
    dropout?.apply(to: &activated2)
    let y = convolution2.forward(activated2, plus: throughShortcut(parts))
    return (
      y,
      Residuals(
        norm1: norm1Residuals, activated1: activated1, e: e, norm2: norm2Residuals,
        activated2: activated2, dropout: dropout)
    )
  }

  /// The output of ``forward(_:beside:_:dropout:)`` alone, without dropout.
  public func callAsFunction(_ h: Matrix, beside skip: Matrix? = nil, _ e: Matrix) -> Matrix {
    let parts = parts(h, skip, batch: e.rows)
    let u = convolution1(norm1.forward(parts).y)
    let activated = norm2.forward(u, modulation: modulation(e)).y
    return convolution2.forward(activated, plus: throughShortcut(parts))
  }

  /// - Returns: derivatives of the loss by `h`, by `skip` if there was one, and by `e`.
  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> (dh: Matrix, dSkip: Matrix?, de: Matrix) {
    let r = residuals
    // `dh` becomes the derivative of each inner stage in turn.
    var dh = convolution2.backward(dy, r.activated2, &gradients)
    r.dropout?.apply(to: &dh)
    let (du, dModulation) = norm2.modulatedBackward(dh, r.norm2, &gradients)
    dh = convolution1.backward(du, r.activated1, &gradients)
    let dShortcut = throughShortcutBackward(dy, r.norm1.parts.map(\.part), &gradients)
    let dParts = norm1.backward(dh, r.norm1, plus: dShortcut, &gradients).dx
    return (
      dParts[0], dParts.count > 1 ? dParts[1] : nil,
      modulation.backward(dModulation, r.e, &gradients)
    )
  }

  /// The input in the parts that it comes in.
  private func parts(_ h: Matrix, _ skip: Matrix?, batch: Int) -> [MapPart] {
    guard let skip else { return [MapPart(h, on: map)] }
    let total = h.columns + skip.columns
    return [
      MapPart(h, batch: batch, on: map, first: 0, of: total),
      MapPart(skip, batch: batch, on: map, first: h.columns, of: total),
    ]
  }

  /// S(h). A 1×1 convolution and an enlargement may change places: it is the smaller maps that are
  /// convolved.
  private func throughShortcut(_ parts: [MapPart]) -> Matrix {
    guard let shortcut, let last = parts.last else { return MapPart.whole(parts) }
    var y = last.x * last.columns(of: shortcut.weight.value).transposed
    y.add(toRows: shortcut.bias.value)
    for part in parts.dropLast() {
      part.add(part.x * part.columns(of: shortcut.weight.value).transposed, to: &y)
    }
    return y
  }

  /// - Returns: derivatives of the loss by the parts, through S.
  private func throughShortcutBackward(
    _ dy: Matrix, _ parts: [MapPart], _ gradients: inout Gradients
  ) -> [Matrix] {
    guard let shortcut else { return parts.map { $0.derivative(of: dy) } }
    var dWeight = Matrix(dy.columns, 0)
    let dParts = parts.map { part in
      let dOwn = part.shrunk(dy)
      dWeight = dWeight.joined(dOwn.transposed * part.x)
      return dOwn * part.columns(of: shortcut.weight.value)
    }
    gradients[shortcut.weight].add(dWeight)
    gradients[shortcut.bias].add(rowsOf: dy)
    return dParts
  }

  public mutating func prepare(training: Bool) {
    convolution1.prepare(training: training)
    convolution2.prepare(training: training)
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
