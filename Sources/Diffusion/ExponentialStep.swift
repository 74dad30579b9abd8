import RealModule

/// What the denoiser said at a level.
struct Estimate<V: Vector> {
  let level: Level
  let x0: V

  init(_ level: Level, _ x0: V) { (self.level, self.x0) = (level, x0) }
}

/// The solution of the probability-flow ODE from one level to the next for an x0 that is the
/// polynomial of λ through some estimates (Lu et al. 2022b, proposition 4.1):
///
///     x' = σ'/σ x + α' ∫ e^(λ-λ') x0(λ) dλ
///
/// At either end of the schedule λ is infinite and no polynomial goes there: the step into `.clean`
/// is the last estimate of the level it leaves, and that from pure noise takes it for constant.
///
/// - Parameter estimates: at different levels, among them that of `level`.
func exponentialStep<V: Vector>(
  _ x: V, from level: Level, to next: Level, through estimates: ArraySlice<Estimate<V>>
) -> V {
  let ddim = Transition(deterministicFrom: level, to: next)
  let h = next.lambda - level.lambda
  guard h.isFinite else {
    return estimates.last { $0.level == level }.map { ddim(x, $0.x0) } ?? x
  }
  let usable = estimates.filter { $0.level.alphaBar > 0 }
  let weights = exponentialWeights(h, nodes: usable.map { ($0.level.lambda - level.lambda) / h })
  return .combination(
    [(ddim.current, x)] + zip(weights, usable).map { (next.alpha * $0, $1.x0) })
}

/// The weights `w` with `Σ w p(node) = ∫ h e^(h(u-1)) p(u) du` over 0...1 for every polynomial p of
/// a degree below the number of nodes.
///
/// - Parameters:
///   - h: positive.
///   - nodes: different, at most 4.
func exponentialWeights(_ h: Double, nodes: [Double]) -> [Double] {
  let moments = exponentialMoments(h)
  return nodes.indices.map { i in
    // The coefficients of Lagrange's polynomial, 1 at node i and 0 at the others.
    var polynomial = [1.0]
    for (j, node) in nodes.enumerated() where j != i {
      let scale = 1 / (nodes[i] - node)
      var product = polynomial.map { -node * scale * $0 } + [0]
      for (k, coefficient) in polynomial.enumerated() { product[k + 1] += scale * coefficient }
      polynomial = product
    }
    return h * zip(polynomial, moments).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

/// `M_k = ∫ e^(h(u-1)) u^k du` over 0...1 for k = 0...3. In parts, `h M_k = 1 - k M_(k-1)`.
private func exponentialMoments(_ h: Double) -> [Double] {
  if h > 1 {
    var moments = [-Double.expMinusOne(-h) / h]
    for k in 1...3 { moments.append((1 - Double(k) * moments[k - 1]) / h) }
    return moments
  }
  // For a small h that would lose every digit; from M_20, of which nothing is left in the end, the
  // way down gains them.
  var moments = [Double](repeating: 0, count: 21)
  for k in (1...20).reversed() { moments[k - 1] = (1 - h * moments[k]) / Double(k) }
  return Array(moments[0...3])
}
