import RealModule

/// `y = (x - mean) / √(variance + 1e-5)` over the features of each example, without an affine map
/// (Ba et al. 2016).
public struct LayerNorm: Layer {
  static let epsilon: Float = 1e-5

  public struct Residuals: Sendable {
    let y: Matrix
    let scale: [Float]  // [batch], 1/√(variance + epsilon)
  }

  public init() {}

  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Residuals) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    var y = x
    var scale = [Float](repeating: 0, count: x.rows)
    standardise(&y.elements, &scale, width: x.columns)
    return (y, Residuals(y: y, scale: scale))
  }

  /// dx = (dy - mean(dy) - y mean(dy ⊙ y)) / √(variance + epsilon)
  public func backward(
    _ dy: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> Matrix {
    let began = WorkClock.start()
    defer { WorkClock.stop(.activation, since: began) }
    var dx = dy
    project(&dx.elements, residuals.y.elements, residuals.scale, width: dy.columns)
    return dx
  }

  public func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}

  private func standardise(_ x: inout [Float], _ scale: inout [Float], width: Int) {
    var x = x.mutableSpan
    let share = 1 / Float(width)
    for row in scale.indices {
      let range = row * width..<(row + 1) * width
      var sum: Float = 0
      for i in range { sum = Relaxed.sum(sum, x[i]) }
      let mean = sum * share
      var squares: Float = 0
      for i in range {
        let d = x[i] - mean
        squares = Relaxed.multiplyAdd(d, d, squares)
      }
      let factor = 1 / (squares * share + Self.epsilon).squareRoot()
      for i in range { x[i] = (x[i] - mean) * factor }
      scale[row] = factor
    }
  }

  private func project(_ dx: inout [Float], _ y: [Float], _ scale: [Float], width: Int) {
    precondition(dx.count == y.count && dx.count == scale.count * width)
    var dx = dx.mutableSpan
    let y = y.span
    let share = 1 / Float(width)
    for row in scale.indices {
      let range = row * width..<(row + 1) * width
      var sum: Float = 0
      var dot: Float = 0
      for i in range {
        sum = Relaxed.sum(sum, dx[i])
        dot = Relaxed.multiplyAdd(dx[i], y[i], dot)
      }
      let (mean, slope, factor) = (sum * share, dot * share, scale[row])
      for i in range { dx[i] = (dx[i] - mean - y[i] * slope) * factor }
    }
  }
}
