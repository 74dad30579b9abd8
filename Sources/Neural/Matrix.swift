/// A row-major matrix of single-precision numbers, a plain value.
///
/// A batch is `[batch, features]`. Images are NHWC, so a batch of feature maps is also a
/// `[batch·height·width, channels]` matrix over the same elements.
public struct Matrix: Equatable, Sendable {
  public let rows: Int
  public let columns: Int
  /// `rows · columns` numbers; row `r` is `elements[r·columns ..< (r + 1)·columns]`.
  public var elements: [Float]

  /// A matrix filled with `value`.
  public init(_ rows: Int, _ columns: Int, fill value: Float = 0) {
    self.rows = rows
    self.columns = columns
    elements = [Float](repeating: value, count: rows * columns)
  }

  /// A matrix over `elements`, of which there must be `rows · columns`.
  public init(_ rows: Int, _ columns: Int, _ elements: [Float]) {
    precondition(
      elements.count == rows * columns, "\(elements.count) elements, not \(rows * columns)")
    self.rows = rows
    self.columns = columns
    self.elements = elements
  }

  public subscript(row: Int, column: Int) -> Float {
    get { elements[row * columns + column] }
    set { elements[row * columns + column] = newValue }
  }

  /// A matrix of which every number is about to be set: what it holds until then is left open.
  init(unset rows: Int, _ columns: Int) {
    let count = rows * columns
    self.init(
      rows, columns, [Float](unsafeUninitializedCapacity: count) { _, filled in filled = count })
  }

  /// Makes this a matrix of another size, in the same memory if it is of that size already; what
  /// it then holds is left open.
  mutating func resize(_ rows: Int, _ columns: Int) {
    if self.rows != rows || self.columns != columns { self = Matrix(unset: rows, columns) }
  }

  /// Leaves an empty matrix behind and returns what it was.
  mutating func detached() -> Matrix {
    var taken = Matrix(0, 0)
    swap(&taken, &self)
    return taken
  }

  func hasShape(of other: Matrix) -> Bool { rows == other.rows && columns == other.columns }

  /// The same numbers in rows of another width: maps as images, and images as maps.
  public func reshaped(columns: Int) -> Matrix {
    precondition(elements.count.isMultiple(of: columns), "rows of \(columns) numbers")
    return Matrix(elements.count / columns, columns, elements)
  }

  func row(_ row: Int) -> [Float] { Array(elements[row * columns..<(row + 1) * columns]) }

  /// The matrix of the rows in `range`, in order.
  public func rows(_ range: Range<Int>) -> Matrix {
    Matrix(
      range.count, columns,
      Array(elements[range.lowerBound * columns..<range.upperBound * columns]))
  }

  /// The matrix whose row `i` is row `indices[i]` of this one.
  public func rows(at indices: some Collection<Int>) -> Matrix {
    var gathered: [Float] = []
    gathered.reserveCapacity(indices.count * columns)
    for row in indices { gathered += elements[row * columns..<(row + 1) * columns] }
    return Matrix(indices.count, columns, gathered)
  }

  /// Every row k times, one after the other.
  public func repeatingRows(_ k: Int) -> Matrix {
    var repeated: [Float] = []
    repeated.reserveCapacity(k * elements.count)
    for row in 0..<rows {
      for _ in 0..<k { repeated += elements[row * columns..<(row + 1) * columns] }
    }
    return Matrix(k * rows, columns, repeated)
  }

  /// The sums of k rows each, one after the other.
  public func addingRows(_ k: Int) -> Matrix {
    guard k > 1 else { return self }
    precondition(rows.isMultiple(of: k), "groups of \(k) rows")
    var sums = Matrix(rows / k, columns)
    let width = columns
    var y = sums.elements.mutableSpan
    let x = elements.span
    for row in 0..<rows {
      let (from, to) = (row * width, row / k * width)
      for i in 0..<width { y[to + i] += x[from + i] }
    }
    return sums
  }

  /// Rows of bytes as numbers: row `i` is `scale` times the bytes of row `indices[i]`.
  ///
  /// - Parameter bytes: rows of `columns` bytes, one after the other.
  public init(
    gathering indices: some Collection<Int>, of bytes: [UInt8], columns: Int, scale: Float
  ) {
    self.init(indices.count, columns)
    var x = elements.mutableSpan
    let bytes = bytes.span
    for (row, index) in indices.enumerated() {
      let (from, to) = (index * columns, row * columns)
      for i in 0..<columns { x[to + i] = scale * Float(Int32(bytes[from + i])) }
    }
  }

  /// Numbers as bytes: `255·x` rounded, numbers outside [0, 1] at the nearer end.
  public var bytes: [UInt8] {
    elements.map { UInt8(max(0, min(255, (255 * $0).rounded()))) }
  }

  /// Makes row `row` equal to row `otherRow` of `other`.
  public mutating func replaceRow(_ row: Int, by other: Matrix, _ otherRow: Int) {
    precondition(columns == other.columns, "rows of one width")
    elements.replaceSubrange(
      row * columns..<(row + 1) * columns,
      with: other.elements[otherRow * columns..<(otherRow + 1) * columns])
  }

  /// The columns in `range` of every row.
  public func columns(_ range: Range<Int>) -> Matrix {
    let (width, count, first, rows) = (columns, range.count, range.lowerBound, rows)
    precondition(first >= 0 && range.upperBound <= width, "columns \(range) of \(width)")
    var part = Matrix(unset: rows, count)
    var taken = part.elements.mutableSpan
    let x = elements.span
    for row in 0..<rows {
      let (start, from) = (row * count, row * width + first)
      let x = x.extracting(from..<from + count)
      var taken = taken._mutatingExtracting(start..<start + count)
      for i in 0..<count { taken[i] = x[i] }
    }
    return part
  }

  /// The matrix whose column `j` is column `places[j]` of this one.
  public func columns(at places: [Int]) -> Matrix {
    var taken = Matrix(rows, places.count)
    for row in 0..<rows {
      for (j, column) in places.enumerated() { taken[row, j] = self[row, column] }
    }
    return taken
  }

  /// `[self, right]`: the rows of both side by side.
  public func joined(_ right: Matrix) -> Matrix {
    precondition(rows == right.rows, "joined matrices have one number of rows")
    let (a, b, rows) = (columns, right.columns, rows)
    var both = Matrix(unset: rows, a + b)
    var joined = both.elements.mutableSpan
    let (x, y) = (elements.span, right.elements.span)
    for row in 0..<rows {
      let start = row * (a + b)
      let (x, y) = (x.extracting(row * a..<(row + 1) * a), y.extracting(row * b..<(row + 1) * b))
      var left = joined._mutatingExtracting(start..<start + a)
      for i in 0..<a { left[i] = x[i] }
      var right = joined._mutatingExtracting(start + a..<start + a + b)
      for i in 0..<b { right[i] = y[i] }
    }
    return both
  }

  /// The rows of all `parts`, one below the other; all have one number of columns.
  public static func stacked(_ parts: [Matrix]) -> Matrix {
    let columns = parts.first?.columns ?? 0
    precondition(parts.allSatisfy { $0.columns == columns }, "stacked matrices have one width")
    return Matrix(parts.reduce(0) { $0 + $1.rows }, columns, parts.flatMap(\.elements))
  }
}
