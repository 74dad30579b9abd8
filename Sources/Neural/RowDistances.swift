/// Squared distances between the rows of two matrices: bounds by products in single precision,
/// `‖x‖² + ‖y‖² - 2 x·y`, and exact ones for the few pairs that the bounds do not tell apart.
///
/// All are in units of ``unit``, which brings the numbers near 1, so that squares neither overflow
/// nor vanish.
struct RowDistances: Sendable {
  /// The rows of the first matrix, cut up for threads and the cache.
  let blocks: [Range<Int>]
  /// A power of 4 that squared distances are multiplied by.
  let unit: Double

  private let x: Matrix, y: Matrix
  private let xBlocks: [Matrix], yBlocks: [Matrix]
  private let xSquares: [Double], ySquares: [Double]
  private let relativeError: Double, absoluteError: Double

  /// - Parameters:
  ///   - x: `[n, d]`, finite, d ≥ 1.
  ///   - y: `[m, d]`, finite, m ≥ 1.
  init(_ x: Matrix, _ y: Matrix) {
    precondition(x.columns == y.columns && y.rows > 0, "rows of one width")
    let origin = y.columnMeans
    // Measured from amid the points, less cancels.
    let extent = max(x.largestDistance(from: origin), y.largestDistance(from: origin))
    let scale = extent > 0 ? Double(sign: .plus, exponent: -extent.exponent, significand: 1) : 1
    let (moved, other) = (x.moved(origin, scale), y.moved(origin, scale))
    self.x = x
    self.y = y
    unit = scale * scale
    blocks = (0..<x.rows).parts(of: 128)
    xBlocks = blocks.map(moved.rows)
    yBlocks = (0..<y.rows).parts(of: 512).map(other.rows)
    xSquares = moved.rowSquares
    ySquares = other.rowSquares
    // A product of d terms errs by d u ‖x‖ ‖y‖ at most, u = 2⁻²⁴ (Higham 2002, §3.1), twice that
    // is below d u (‖x‖² + ‖y‖²); the rounding of moved rows adds 4 u; the rest is reserve. Terms
    // that vanish are below 2⁻¹²⁶ each.
    relativeError = 1.1 * Double(x.columns + 8) * 0x1p-24
    absoluteError = Double(x.columns) * 0x1p-124
  }

  /// Calls `body` for parts of rows: the number of the row within the block, the first row of `y`
  /// and the products with that and those after it.
  @inline(__always) func scan(
    _ block: Int, _ body: (_ row: Int, _ first: Int, _ products: Span<Float>) -> Void
  ) {
    var products = Matrix(0, 0)
    var first = 0
    for part in yBlocks {
      products.replace(byProduct: xBlocks[block], part.transposed)
      let values = products.elements.span
      for row in 0..<products.rows {
        body(row, first, values.extracting(row * part.rows..<(row + 1) * part.rows))
      }
      first += part.rows
    }
  }

  /// What the squared distance of rows `i` and `j` lies between, given their product.
  @inline(__always) func bounds(
    _ i: Int, _ j: Int, product: Float
  ) -> (low: Double, high: Double) {
    let squares = xSquares[i] + ySquares[j]
    let (distance, error) = (
      squares - 2 * Double(product), relativeError * squares + absoluteError
    )
    return (distance - error, distance + error)
  }

  /// The squared distance of rows `i` and `j`; the same whichever of the two is first.
  func exact(_ i: Int, _ j: Int) -> Double {
    let width = x.columns
    let (x, y) = (x.elements.span, y.elements.span)
    let (from, to) = (i * width, j * width)
    var sum = 0.0
    for place in 0..<width {
      let difference = Double(x[from + place]) - Double(y[to + place])
      sum += difference * difference
    }
    return sum * unit
  }
}

extension Matrix {
  /// The largest `|x - origin|` of all elements.
  fileprivate func largestDistance(from origin: [Double]) -> Double {
    let (width, x, origin) = (columns, elements.span, origin.span)
    var largest = 0.0
    for row in 0..<rows {
      let start = row * width
      for i in 0..<width { largest = max(largest, abs(Double(x[start + i]) - origin[i])) }
    }
    return largest
  }

  /// `scale · (x - origin)`
  fileprivate func moved(_ origin: [Double], _ scale: Double) -> Matrix {
    let width = columns
    var moved = self
    var x = moved.elements.mutableSpan
    let origin = origin.span
    for row in 0..<rows {
      let start = row * width
      for i in 0..<width { x[start + i] = Float((Double(x[start + i]) - origin[i]) * scale) }
    }
    return moved
  }

  /// ‖x‖² of every row, in double precision.
  fileprivate var rowSquares: [Double] {
    let (width, x) = (columns, elements.span)
    return (0..<rows).map { row in
      let start = row * width
      var sum = 0.0
      for i in 0..<width { sum += Double(x[start + i]) * Double(x[start + i]) }
      return sum
    }
  }
}
