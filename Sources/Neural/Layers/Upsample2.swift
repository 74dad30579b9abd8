/// Maps of twice the height and width, every pixel four times, as a square (nearest neighbour);
/// beside other maps of that size.
public struct Upsample2: Sendable {
  /// The size of the input.
  let map: MapShape

  public init(_ map: MapShape) { self.map = map }

  /// `[y, right]` with y[2i + di, 2j + dj] = x[i, j] for di, dj in {0, 1}.
  ///
  /// - Parameters:
  ///   - x: `[batch·height·width, channels]`
  ///   - right: four times as many rows.
  public func forward(_ x: Matrix, beside right: Matrix) -> Matrix {
    let (a, b, width) = (x.columns, right.columns, map.width)
    let lines = map.batch(of: x) * map.height
    precondition(right.rows == 4 * x.rows, "maps of another size")
    var both = Matrix(unset: right.rows, a + b)
    withPointers(x.elements, right.elements, &both.elements) { x, right, y in
      for line in 0..<2 * lines {
        for j in 0..<2 * width {
          let row = 2 * line * width + j
          let to = y + row * (a + b)
          to.update(from: x + (line / 2 * width + j / 2) * a, count: a)
          (to + a).update(from: right + row * b, count: b)
        }
      }
    }
    return both
  }

  /// dx[i, j] = Σ dy[2i + di, 2j + dj]
  ///
  /// - Parameters:
  ///   - dy: of the result of ``forward(_:beside:)``.
  ///   - channels: its first columns, those of y.
  /// - Returns: `[batch·height·width, channels]`
  public func backward(_ dy: Matrix, channels: Int) -> Matrix {
    let (all, width) = (dy.columns, map.width)
    precondition(dy.rows.isMultiple(of: 4 * map.pixels) && channels <= all, "maps of another size")
    var dx = Matrix(unset: dy.rows / 4, channels)
    let lines = dx.rows / width
    var x = dx.elements.mutableSpan
    let y = dy.elements.span
    for line in 0..<lines {
      for j in 0..<width {
        let to = (line * width + j) * channels
        let upper = (4 * line * width + 2 * j) * all
        let lower = upper + 2 * width * all
        for i in 0..<channels {
          x[to + i] = (y[upper + i] + y[upper + all + i]) + (y[lower + i] + y[lower + all + i])
        }
      }
    }
    return dx
  }
}
