/// A residual block steered by an embedding `e` (adaLN-Zero of Peebles & Xie 2022, figure 3):
///
///     (shift, scale, gate) = M(e)
///     y = h + gate ⊙ B(SiLU(A(LayerNorm(h) (1 + scale) + shift)))
///
/// `M` starts at zero, so every block starts as the identity.
public struct ModulatedBlock: Parameterized {
  var modulation: Linear  // embedding → 3·width: shift, scale, gate
  var inner: Linear  // A
  var outer: Linear  // B

  public struct Residuals: Sendable {
    let e: Matrix
    var modulation: Matrix  // [batch, 3·width]
    let norm: LayerNorm.Residuals
    let modulated: Matrix
    let sum: Matrix  // A(…), before SiLU
    let activated: Matrix  // after dropout
    let dropout: Dropout?
    let branch: Matrix  // B(…), before the gate
  }

  public init(width: Int, embedding: Int, _ source: inout ParameterSource) {
    modulation = Linear(embedding, 3 * width, zero: true, &source)
    inner = Linear(width, width, &source)
    outer = Linear(width, width, &source)
  }

  /// - Parameters:
  ///   - h: `[batch, width]`
  ///   - e: `[batch, embedding]`
  ///   - dropout: of SiLU's output, in training.
  public func forward(
    _ h: Matrix, _ e: Matrix, dropout: Dropout? = nil
  ) -> (y: Matrix, residuals: Residuals) {
    precondition(e.rows == h.rows, "one embedding for each row")
    let m = modulation(e)
    let (normal, norm) = LayerNorm().forward(h)
    let modulated = modulate(normal, m)
    let sum = inner(modulated)
    var activated = SiLU()(sum)
    dropout?.apply(to: &activated)
    let branch = outer(activated)
    var y = h
    addGated(&y.elements, branch.elements, m.elements, width: h.columns)
    return (
      y,
      Residuals(
        e: e, modulation: m, norm: norm, modulated: modulated, sum: sum, activated: activated,
        dropout: dropout, branch: branch)
    )
  }

  /// The output of ``forward(_:_:dropout:)`` alone, without dropout.
  ///
  /// - Parameter e: `[batch, embedding]`; or one row, for all of `h`.
  public func callAsFunction(_ h: Matrix, _ e: Matrix) -> Matrix {
    let m = modulation(e)
    let branch = outer(SiLU()(inner(modulate(LayerNorm()(h), m))))
    var y = h
    addGated(&y.elements, branch.elements, m.elements, width: h.columns)
    return y
  }

  /// - Returns: derivatives of the loss by `h` and by `e`.
  public func backward(
    _ dy: Matrix, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) -> (dh: Matrix, de: Matrix) {
    // `m` and `dh` become the derivatives by the modulation and by each inner stage in turn.
    var (m, dh) = (residuals.modulation.detached(), dy)
    let (r, width) = (residuals, dy.columns)
    gateDerivatives(&dh.elements, &m.elements, r.branch.elements, width: width)
    dh = outer.backward(dh, r.activated, &gradients)
    r.dropout?.apply(to: &dh)
    dh = SiLU().backward(dh, r.sum, &gradients)
    dh = inner.backward(dh, r.modulated, &gradients)
    modulationDerivatives(&dh.elements, &m.elements, r.norm.y.elements, width: width)
    dh = LayerNorm().backward(dh, r.norm, &gradients)
    dh.add(dy)
    return (dh, modulation.backward(m, r.e, &gradients))
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try modulation.visit(path + ".modulation", body)
    try inner.visit(path + ".inner", body)
    try outer.visit(path + ".outer", body)
  }
}

// The three parts of a row of the modulation `m`, [shift | scale | gate], are read where they lie. In
// the first two functions it may be one row, for all of the others.

/// `x (1 + scale) + shift`
private func modulate(_ x: Matrix, _ m: Matrix) -> Matrix {
  var y = x
  modulate(&y.elements, m.elements, width: x.columns)
  return y
}

private func modulate(_ x: inout [Float], _ m: [Float], width: Int) {
  let began = WorkClock.start()
  defer { WorkClock.stop(.activation, since: began) }
  precondition(m.count == 3 * x.count || m.count == 3 * width)
  let next = m.count == 3 * x.count ? 3 : 0
  var x = x.mutableSpan
  let m = m.span
  for start in stride(from: 0, to: x.count, by: width) {
    let (shift, scale) = (next * start, next * start + width)
    for i in 0..<width { x[start + i] = x[start + i] * (1 + m[scale + i]) + m[shift + i] }
  }
}

/// `y += gate ⊙ branch`
private func addGated(_ y: inout [Float], _ branch: [Float], _ m: [Float], width: Int) {
  let began = WorkClock.start()
  defer { WorkClock.stop(.activation, since: began) }
  precondition(branch.count == y.count && (m.count == 3 * y.count || m.count == 3 * width))
  let next = m.count == 3 * y.count ? 3 : 0
  var y = y.mutableSpan
  let branch = branch.span
  let m = m.span
  for start in stride(from: 0, to: y.count, by: width) {
    let gate = next * start + 2 * width
    for i in 0..<width { y[start + i] += m[gate + i] * branch[start + i] }
  }
}

/// From d = dy: `dgate = d ⊙ branch`, in the gate's place, and `d = d ⊙ gate`.
private func gateDerivatives(
  _ d: inout [Float], _ m: inout [Float], _ branch: [Float], width: Int
) {
  let began = WorkClock.start()
  defer { WorkClock.stop(.activation, since: began) }
  precondition(branch.count == d.count && m.count == 3 * d.count)
  var d = d.mutableSpan
  var m = m.mutableSpan
  let branch = branch.span
  for start in stride(from: 0, to: d.count, by: width) {
    let gate = 3 * start + 2 * width
    for i in 0..<width {
      let (dy, factor) = (d[start + i], m[gate + i])
      m[gate + i] = dy * branch[start + i]
      d[start + i] = dy * factor
    }
  }
}

/// From d, the derivative by the modulated: `dshift = d` and `dscale = d ⊙ x`, in the places of shift
/// and scale, and `d = d (1 + scale)`.
private func modulationDerivatives(
  _ d: inout [Float], _ m: inout [Float], _ x: [Float], width: Int
) {
  let began = WorkClock.start()
  defer { WorkClock.stop(.activation, since: began) }
  precondition(x.count == d.count && m.count == 3 * d.count)
  var d = d.mutableSpan
  var m = m.mutableSpan
  let x = x.span
  for start in stride(from: 0, to: d.count, by: width) {
    let (shift, scale) = (3 * start, 3 * start + width)
    for i in 0..<width {
      let (dy, factor) = (d[start + i], 1 + m[scale + i])
      m[shift + i] = dy
      m[scale + i] = dy * x[start + i]
      d[start + i] = dy * factor
    }
  }
}
