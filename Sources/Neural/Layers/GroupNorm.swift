/// `y = (x - mean) / √(variance + 1e-5) · gain + bias`, mean and variance being those of a group of
/// neighbouring channels over one whole map (Wu & He 2018).
public struct GroupNorm: Layer {
  static let epsilon: Float = 1e-5

  var gain: Parameter  // [1, channels]
  var bias: Parameter  // [1, channels]
  let map: MapShape
  let groups: Int

  /// Of every map, repeated for each channel of a group.
  public struct Residuals: Sendable {
    let x: Matrix
    var mean: Matrix  // [batch, channels]
    var scale: Matrix  // [batch, channels], 1/√(variance + epsilon)
  }

  public init(_ channels: Int, groups: Int, on map: MapShape, _ source: inout ParameterSource) {
    precondition(channels.isMultiple(of: groups), "\(channels) channels are not \(groups) groups")
    gain = source.constant(1, channels, 1)
    bias = source.constant(1, channels)
    self.map = map
    self.groups = groups
  }

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Residuals) {
    precondition(x.columns == gain.count, "maps of \(x.columns) channels")
    let none = Matrix(map.batch(of: x), x.columns)
    var residuals = Residuals(x: x, mean: none, scale: none)
    var y = x
    standardise(&y.elements, &residuals.mean.elements, &residuals.scale.elements)
    return (y, residuals)
  }

  /// With n = (x - mean) scale and means over the group:
  /// dx = scale (gain ⊙ dy - mean(gain ⊙ dy) - n mean(gain ⊙ dy ⊙ n)); dgain = Σ dy ⊙ n; dbias = Σ dy
  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> Matrix {
    var dx = dy
    let r = residuals
    // Sums over each map, [batch, channels].
    var (dGain, dBias) = (Matrix(r.mean.rows, dy.columns), Matrix(r.mean.rows, dy.columns))
    project(
      &dx.elements, &dGain.elements, &dBias.elements, r.x.elements, r.mean.elements,
      r.scale.elements)
    gradients[gain].add(rowsOf: dGain)
    gradients[bias].add(rowsOf: dBias)
    return dx
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try body(path + ".gain", &gain)
    try body(path + ".bias", &bias)
  }

  private func standardise(_ y: inout [Float], _ mean: inout [Float], _ scale: inout [Float]) {
    let (channels, size, group) = (gain.count, map.pixels * gain.count, gain.count / groups)
    precondition(mean.count * map.pixels == y.count && scale.count == mean.count)
    let (batch, share) = (mean.count / channels, 1 / Float(map.pixels * group))
    let (gain, bias) = (gain.value.elements.span, bias.value.elements.span)
    var y = y.mutableSpan
    var mean = mean.mutableSpan
    var scale = scale.mutableSpan
    for image in 0..<batch {
      let row = image * channels
      let pixels = stride(from: image * size, to: (image + 1) * size, by: channels)
      for start in pixels {
        for c in 0..<channels { mean[row + c] += y[start + c] }
      }
      average(&mean, row..<row + channels, group, share)
      for start in pixels {
        for c in 0..<channels {
          let d = y[start + c] - mean[row + c]
          scale[row + c] += d * d
        }
      }
      average(&scale, row..<row + channels, group, share)
      for c in row..<row + channels { scale[c] = 1 / (scale[c] + Self.epsilon).squareRoot() }
      for start in pixels {
        for c in 0..<channels {
          let n = (y[start + c] - mean[row + c]) * scale[row + c]
          y[start + c] = n * gain[c] + bias[c]
        }
      }
    }
  }

  private func project(
    _ dx: inout [Float], _ dGain: inout [Float], _ dBias: inout [Float], _ x: [Float],
    _ mean: [Float], _ scale: [Float]
  ) {
    let (channels, size, group) = (gain.count, map.pixels * gain.count, gain.count / groups)
    precondition(x.count == dx.count && mean.count * map.pixels == x.count)
    let (batch, share) = (mean.count / channels, 1 / Float(map.pixels * group))
    var slopes = [Float](repeating: 0, count: channels)  // mean(gain ⊙ dy ⊙ n)
    var offsets = slopes  // mean(gain ⊙ dy)
    let gain = gain.value.elements.span
    let (x, mean, scale) = (x.span, mean.span, scale.span)
    var dx = dx.mutableSpan
    var dGain = dGain.mutableSpan
    var dBias = dBias.mutableSpan
    var slope = slopes.mutableSpan
    var offset = offsets.mutableSpan
    for image in 0..<batch {
      let row = image * channels
      let pixels = stride(from: image * size, to: (image + 1) * size, by: channels)
      for start in pixels {
        for c in 0..<channels {
          dBias[row + c] += dx[start + c]
          dGain[row + c] += dx[start + c] * (x[start + c] - mean[row + c])
        }
      }
      for c in 0..<channels {
        dGain[row + c] *= scale[row + c]
        slope[c] = gain[c] * dGain[row + c]
        offset[c] = gain[c] * dBias[row + c]
      }
      average(&slope, 0..<channels, group, share)
      average(&offset, 0..<channels, group, share)
      for start in pixels {
        for c in 0..<channels {
          let n = (x[start + c] - mean[row + c]) * scale[row + c]
          dx[start + c] = (gain[c] * dx[start + c] - offset[c] - n * slope[c]) * scale[row + c]
        }
      }
    }
  }
}

/// Replaces each sum in `row` by `share` times the total of its group of neighbours.
@inline(__always)
private func average(
  _ sums: inout MutableSpan<Float>, _ row: Range<Int>, _ group: Int, _ share: Float
) {
  for start in stride(from: row.lowerBound, to: row.upperBound, by: group) {
    var total: Float = 0
    for c in start..<start + group { total += sums[c] }
    for c in start..<start + group { sums[c] = total * share }
  }
}
