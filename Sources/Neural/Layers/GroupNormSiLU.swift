/// Group normalisation, modulation and activation in one (Wu & He 2018; Dhariwal & Nichol 2021):
///
///     n = (x - mean) / √(variance + 1e-5)
///     y = SiLU((n · gain + bias) (1 + scale) + shift)
///
/// Mean and variance are those of a group of neighbouring channels over one whole map. Scale and
/// shift, one for each map and channel, are given from outside, or zero.
///
/// Only `x` is remembered: it is cheaper to go from it to `y` again than to keep what lies between.
public struct GroupNormSiLU: Layer {
  static let epsilon: Float = 1e-5

  var gain: Parameter  // [1, channels]
  var bias: Parameter  // [1, channels]
  let map: MapShape
  let groups: Int

  public struct Residuals: Sendable {
    let x: Matrix
    let modulation: Matrix?
    // Of every map, repeated for each channel of a group.
    var mean: Matrix  // [batch, channels]
    var precision: Matrix  // [batch, channels], 1/√(variance + epsilon)
  }

  public init(_ channels: Int, groups: Int, on map: MapShape, _ source: inout ParameterSource) {
    precondition(channels.isMultiple(of: groups), "\(channels) channels are not \(groups) groups")
    gain = source.constant(1, channels, 1)
    bias = source.constant(1, channels)
    self.map = map
    self.groups = groups
  }

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Residuals) {
    forward(x, modulation: nil)
  }

  /// - Parameters:
  ///   - x: `[batch·height·width, channels]`
  ///   - modulation: scale, then shift, `[batch, 2·channels]`.
  public func forward(_ x: Matrix, modulation: Matrix?) -> (y: Matrix, residuals: Residuals) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    let (batch, channels) = (map.batch(of: x), gain.count)
    precondition(x.columns == channels, "maps of \(x.columns) channels")
    precondition(modulation.map { $0.rows == batch && $0.columns == 2 * channels } ?? true)
    let none = Matrix(batch, channels)
    var r = Residuals(x: x, modulation: modulation, mean: none, precision: none)
    var y = Matrix(unset: x.rows, channels)
    let loops = MapLoops(map: map, channels: channels)
    for image in 0..<batch {
      let sums = loops.sums(x.elements, image)
      for (c, mean) in groupMeans(sums).enumerated() { r.mean[image, c] = mean }
      let squares = loops.squares(x.elements, image, minus: r.mean.row(image))
      for (c, variance) in groupMeans(squares).enumerated() {
        r.precision[image, c] = 1 / (variance + Self.epsilon).squareRoot()
      }
      let (factors, offsets) = affine(r, image)
      loops.activate(x.elements, image, factors, offsets, into: &y.elements)
    }
    return (y, r)
  }

  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> Matrix {
    modulatedBackward(dy, residuals, &gradients).dx
  }

  /// With d the derivative by the sum inside of the SiLU, g = gain (1 + scale), and means over the
  /// group:
  ///
  ///     dx = precision (g ⊙ d - mean(g ⊙ d) - n mean(g ⊙ d ⊙ n))
  ///     dgain = Σ (1 + scale) d ⊙ n    dscale = Σ d ⊙ (n · gain + bias)
  ///     dbias = Σ (1 + scale) d        dshift = Σ d
  ///
  /// - Parameter other: what else the loss's derivative by `x` consists of; nil is nothing.
  /// - Returns: derivatives of the loss by `x` and by the modulation, `[0, 0]` if there was none.
  public func modulatedBackward(
    _ dy: Matrix, _ residuals: Residuals, plus other: Matrix? = nil, _ gradients: inout Gradients
  ) -> (dx: Matrix, dModulation: Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    let (r, channels) = (residuals, gain.count)
    precondition(dy.hasShape(of: r.x) && other.map { $0.hasShape(of: r.x) } ?? true)
    var dx = Matrix(unset: dy.rows, channels)
    var (dGain, dBias) = (Matrix(1, channels), Matrix(1, channels))
    var dModulation = r.modulation.map { Matrix($0.rows, $0.columns) } ?? Matrix(0, 0)
    let loops = MapLoops(map: map, channels: channels)
    for image in 0..<r.mean.rows {
      let (factors, offsets) = affine(r, image)
      let (mean, precision) = (r.mean.row(image), r.precision.row(image))
      // Σ d and Σ d ⊙ n of each channel.
      var (sums, products) = loops.deactivate(
        r.x.elements, dy.elements, image, factors, offsets, minus: mean, into: &dx.elements)
      for c in 0..<channels { products[c] *= precision[c] }
      var (slopes, shifts) = (products, sums)
      for c in 0..<channels {
        let g = r.modulation.map { 1 + $0[image, c] } ?? 1
        dGain[0, c] += g * products[c]
        dBias[0, c] += g * sums[c]
        slopes[c] *= g * gain.value[0, c]
        shifts[c] *= g * gain.value[0, c]
        if r.modulation != nil {
          dModulation[image, c] = gain.value[0, c] * products[c] + bias.value[0, c] * sums[c]
          dModulation[image, channels + c] = sums[c]
        }
      }
      (slopes, shifts) = (groupMeans(slopes), groupMeans(shifts))
      // factors · d - precision (shift + n slope), n being an affine function of x.
      for c in 0..<channels {
        slopes[c] *= -precision[c] * precision[c]
        shifts[c] = -precision[c] * shifts[c] - slopes[c] * mean[c]
      }
      loops.combine(
        &dx.elements, by: factors, r.x.elements, by: slopes, plus: shifts, image)
      if let other { loops.add(other.elements, image, to: &dx.elements) }
    }
    gradients[gain].add(dGain)
    gradients[bias].add(dBias)
    return (dx, dModulation)
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try body(path + ".gain", &gain)
    try body(path + ".bias", &bias)
  }

  /// Everything up to the SiLU as `factor · x + offset`, for each channel of a map.
  private func affine(_ r: Residuals, _ image: Int) -> (factors: [Float], offsets: [Float]) {
    var (factors, offsets) = (gain.value.elements, bias.value.elements)
    for c in factors.indices {
      factors[c] *= r.precision[image, c]
      offsets[c] -= factors[c] * r.mean[image, c]
      if let m = r.modulation {
        factors[c] *= 1 + m[image, c]
        offsets[c] = offsets[c] * (1 + m[image, c]) + m[image, factors.count + c]
      }
    }
    return (factors, offsets)
  }

  /// From sums over a map, the means over each group, for each of its channels.
  private func groupMeans(_ sums: [Float]) -> [Float] {
    let size = sums.count / groups
    var means = sums
    for start in stride(from: 0, to: sums.count, by: size) {
      let mean = sums[start..<start + size].reduce(0, +) / Float(map.pixels * size)
      for c in start..<start + size { means[c] = mean }
    }
    return means
  }
}
