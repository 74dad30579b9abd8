/// Group normalisation, modulation and activation in one (Wu & He 2018; Dhariwal & Nichol 2021):
///
///     n = (x - mean) / √(variance + 1e-5)
///     y = SiLU((n · gain + bias) (1 + scale) + shift)
///
/// Mean and variance are those of a group of neighbouring channels over one whole map. Scale and
/// shift, one for each map and channel, are given from outside, or zero.
///
/// Only `x` is remembered: it is cheaper to go from it to `y` again than to keep what lies between.
///
/// `x` may come in parts (``MapPart``), of whole groups each. An enlarged part has the moments of
/// what it was enlarged from, and is activated before it is enlarged.
public struct GroupNormSiLU: Layer {
  static let epsilon: Float = 1e-5

  var gain: Parameter  // [1, channels]
  var bias: Parameter  // [1, channels]
  let map: MapShape
  let groups: Int

  public struct Residuals: Sendable {
    let parts: [Part]
    let modulation: Matrix?

    struct Part: Sendable {
      let part: MapPart
      // Of every map, repeated for each channel of a group.
      var mean: Matrix  // [batch, channels]
      var precision: Matrix  // [batch, channels], 1/√(variance + epsilon)

      init(_ part: MapPart) {
        self.part = part
        mean = Matrix(part.map.batch(of: part.x), part.channels)
        precision = mean
      }

      var loops: MapLoops { MapLoops(map: part.map, channels: part.channels) }
    }
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
    forward([MapPart(x, on: map)], modulation: modulation)
  }

  /// - Parameter parts: of `x`, in order; together they are all of its channels.
  func forward(
    _ parts: [MapPart], modulation: Matrix? = nil
  ) -> (y: Matrix, residuals: Residuals) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    let channels = gain.count
    let batch = parts.first.map { $0.map.batch(of: $0.x) } ?? 0
    precondition(
      parts.reduce(0) { $0 + $1.channels } == channels
        && parts.allSatisfy { $0.total == channels && $0.map.batch(of: $0.x) == batch },
      "parts of other maps")
    precondition(modulation.map { $0.rows == batch && $0.columns == 2 * channels } ?? true)
    var y = Matrix(unset: batch * map.pixels, channels)
    let moments = parts.map { part in
      var r = Residuals.Part(part)
      let (x, loops) = (part.x.elements, r.loops)
      let size = part.map.pixels * part.channels
      var activated = part.isWhole ? [] : [Float](repeating: 0, count: size)
      for image in 0..<batch {
        for (c, mean) in groupMeans(loops.sums(x, image), of: part).enumerated() {
          r.mean[image, c] = mean
        }
        let squares = loops.squares(x, image, minus: r.mean.row(image))
        for (c, variance) in groupMeans(squares, of: part).enumerated() {
          r.precision[image, c] = 1 / (variance + Self.epsilon).squareRoot()
        }
        let (factors, offsets) = affine(r, modulation, image)
        if part.isWhole {
          loops.activate(x, image, factors, offsets, into: &y.elements, image)
        } else {
          loops.activate(x, image, factors, offsets, into: &activated, 0)
          part.place(activated, image, into: &y.elements)
        }
      }
      return r
    }
    return (y, Residuals(parts: moments, modulation: modulation))
  }

  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> Matrix {
    modulatedBackward(dy, residuals, &gradients).dx
  }

  /// - Returns: derivatives of the loss by `x`, which came as a whole, and by the modulation, `[0,
  ///   0]` if there was none.
  public func modulatedBackward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> (dx: Matrix, dModulation: Matrix) {
    let (dx, dModulation) = backward(dy, residuals, plus: [], &gradients)
    return (dx[0], dModulation)
  }

  /// With d the derivative by the sum inside of the SiLU, g = gain (1 + scale), and means over the
  /// group:
  ///
  ///     dx = precision (g ⊙ d - mean(g ⊙ d) - n mean(g ⊙ d ⊙ n))
  ///     dgain = Σ (1 + scale) d ⊙ n    dscale = Σ d ⊙ (n · gain + bias)
  ///     dbias = Σ (1 + scale) d        dshift = Σ d
  ///
  /// - Parameter others: what else the loss's derivatives by the parts consist of; nothing if empty.
  /// - Returns: derivatives of the loss by the parts and by the modulation, `[0, 0]` if there was
  ///   none.
  func backward(
    _ dy: Matrix, _ residuals: Residuals, plus others: [Matrix], _ gradients: inout Gradients
  ) -> (dx: [Matrix], dModulation: Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    let (r, channels) = (residuals, gain.count)
    precondition(others.isEmpty || others.count == r.parts.count)
    var (dGain, dBias) = (Matrix(1, channels), Matrix(1, channels))
    var dModulation = r.modulation.map { Matrix($0.rows, $0.columns) } ?? Matrix(0, 0)
    let dx = r.parts.indices.map { number in
      let (p, part, loops) = (r.parts[number], r.parts[number].part, r.parts[number].loops)
      let dy = part.derivative(of: dy)
      let other = others.isEmpty ? nil : others[number]
      precondition(dy.hasShape(of: part.x) && other.map { $0.hasShape(of: part.x) } ?? true)
      var dx = Matrix(unset: dy.rows, part.channels)
      for image in 0..<p.mean.rows {
        let (factors, offsets) = affine(p, r.modulation, image)
        let (mean, precision) = (p.mean.row(image), p.precision.row(image))
        // Σ d and Σ d ⊙ n of each channel.
        var (sums, products) = loops.deactivate(
          part.x.elements, dy.elements, image, factors, offsets, minus: mean, into: &dx.elements)
        for c in sums.indices { products[c] *= precision[c] }
        var (slopes, shifts) = (products, sums)
        for c in sums.indices {
          let place = part.first + c
          let g = r.modulation.map { 1 + $0[image, place] } ?? 1
          let (gain, bias) = (gain.value[0, place], bias.value[0, place])
          dGain[0, place] += g * products[c]
          dBias[0, place] += g * sums[c]
          slopes[c] *= g * gain
          shifts[c] *= g * gain
          if r.modulation != nil {
            dModulation[image, place] = gain * products[c] + bias * sums[c]
            dModulation[image, channels + place] = sums[c]
          }
        }
        (slopes, shifts) = (groupMeans(slopes, of: part), groupMeans(shifts, of: part))
        // factors · d - precision (shift + n slope), n being an affine function of x.
        for c in slopes.indices {
          slopes[c] *= -precision[c] * precision[c]
          shifts[c] = -precision[c] * shifts[c] - slopes[c] * mean[c]
        }
        loops.combine(
          &dx.elements, by: factors, part.x.elements, by: slopes, plus: shifts, image)
        if let other { loops.add(other.elements, image, to: &dx.elements) }
      }
      return dx
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

  /// Everything up to the SiLU as `factor · x + offset`, for each channel of a part of a map.
  private func affine(
    _ r: Residuals.Part, _ modulation: Matrix?, _ image: Int
  ) -> (factors: [Float], offsets: [Float]) {
    let (first, count) = (r.part.first, r.part.channels)
    var factors = Array(gain.value.elements[first..<first + count])
    var offsets = Array(bias.value.elements[first..<first + count])
    for c in factors.indices {
      factors[c] *= r.precision[image, c]
      offsets[c] -= factors[c] * r.mean[image, c]
      if let m = modulation {
        factors[c] *= 1 + m[image, first + c]
        offsets[c] = offsets[c] * (1 + m[image, first + c]) + m[image, gain.count + first + c]
      }
    }
    return (factors, offsets)
  }

  /// From sums over a part of a map, the means over each group, for each of its channels.
  private func groupMeans(_ sums: [Float], of part: MapPart) -> [Float] {
    let size = gain.count / groups
    precondition(part.first.isMultiple(of: size) && sums.count.isMultiple(of: size))
    var means = sums
    for start in stride(from: 0, to: sums.count, by: size) {
      let mean = sums[start..<start + size].reduce(0, +) / Float(part.map.pixels * size)
      for c in start..<start + size { means[c] = mean }
    }
    return means
  }
}
