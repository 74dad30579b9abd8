/// Maps of twice the height and width: every pixel four times, as a square (nearest neighbour).
public struct Upsample2: Layer {
  /// The size of the input.
  let map: MapShape

  public init(_ map: MapShape) { self.map = map }

  /// y[2i + di, 2j + dj] = x[i, j] for di, dj in {0, 1}
  public func forward(_ x: Matrix) -> (y: Matrix, residuals: Void) {
    var y = Matrix(4 * map.batch(of: x) * map.pixels, x.columns)
    enlarge(x.elements, &y.elements, channels: x.columns)
    return (y, ())
  }

  /// dx[i, j] = Σ dy[2i + di, 2j + dj]
  public func backward(_ dy: Matrix, _: Void, _ gradients: inout Gradients) -> Matrix {
    var dx = Matrix(dy.rows / 4, dy.columns)
    reduce(dy.elements, &dx.elements, channels: dy.columns)
    return dx
  }

  public func visit(_ path: String, _ body: (String, inout Parameter) throws -> Void) {}

  // Line l of the input, counted through all images, becomes lines 2l and 2l + 1.

  private func enlarge(_ x: [Float], _ y: inout [Float], channels: Int) {
    let width = map.width
    let lines = x.count / (width * channels)
    let x = x.span
    var y = y.mutableSpan
    for line in 0..<lines {
      for j in 0..<width {
        let from = (line * width + j) * channels
        let upper = (2 * line * width + j) * 2 * channels
        let lower = upper + 2 * width * channels
        for to in [upper, lower] {
          for i in 0..<channels { y[to + i] = x[from + i] }
          for i in 0..<channels { y[to + channels + i] = x[from + i] }
        }
      }
    }
  }

  private func reduce(_ dy: [Float], _ dx: inout [Float], channels: Int) {
    let width = map.width
    let lines = dx.count / (width * channels)
    let dy = dy.span
    var dx = dx.mutableSpan
    for line in 0..<lines {
      for j in 0..<width {
        let to = (line * width + j) * channels
        let upper = (2 * line * width + j) * 2 * channels
        let lower = upper + 2 * width * channels
        for i in 0..<channels {
          dx[to + i] =
            (dy[upper + i] + dy[upper + channels + i])
            + (dy[lower + i] + dy[lower + channels + i])
        }
      }
    }
  }
}
