import RealModule

// Loops over elements, written once. The closures inline because all of this stays inside the
// module; other modules get the concrete functions below.

extension Matrix {
  /// `f(x)` for every element `x`.
  @inline(__always) func map(_ f: (Float) -> Float) -> Matrix {
    var result = Matrix(unset: rows, columns)
    var y = result.elements.mutableSpan
    let x = elements.span
    for i in x.indices { y[i] = f(x[i]) }
    return result
  }

  /// `f(x, y)` for every element `x`, `y` being the element of `other` in its place.
  @inline(__always) func map(with other: Matrix, _ f: (Float, Float) -> Float) -> Matrix {
    precondition(hasShape(of: other), "element by element takes two matrices of one shape")
    var result = Matrix(unset: rows, columns)
    var z = result.elements.mutableSpan
    let (x, y) = (elements.span, other.elements.span)
    for i in x.indices { z[i] = f(x[i], y[i]) }
    return result
  }

  /// Replaces every element `x` by `f(x)`.
  @inline(__always) mutating func update(_ f: (Float) -> Float) {
    var x = elements.mutableSpan
    for i in x.indices { x[i] = f(x[i]) }
  }

  /// Replaces every element `x` by `f(x, y)`, `y` being the element of `other` in its place.
  @inline(__always) mutating func update(with other: Matrix, _ f: (Float, Float) -> Float) {
    precondition(hasShape(of: other), "element by element takes two matrices of one shape")
    var x = elements.mutableSpan
    let y = other.elements.span
    for i in x.indices { x[i] = f(x[i], y[i]) }
  }

  /// `self += other`
  public mutating func add(_ other: Matrix) { update(with: other) { $0 + $1 } }

  /// `self += factor · other`
  public mutating func add(_ factor: Float, _ other: Matrix) {
    update(with: other) { $0 + factor * $1 }
  }

  /// `self = a · self + b · other`
  public mutating func scale(_ a: Float, adding b: Float, _ other: Matrix) {
    update(with: other) { a * $0 + b * $1 }
  }

  /// `self *= factor`
  public mutating func scale(_ factor: Float) { update { factor * $0 } }

  /// `e^(factor · exponents) ⊙ self`
  public func scaled(byExponentialOf factor: Float, _ exponents: Matrix) -> Matrix {
    map(with: exponents) { Elementary.exp(factor * $1) * $0 }
  }

  /// `factor · self + offset`
  public func affine(_ factor: Float, _ offset: Float) -> Matrix { map { factor * $0 + offset } }

  /// Every element brought into `range`.
  public func clamped(to range: ClosedRange<Float>) -> Matrix {
    let (low, high) = (range.lowerBound, range.upperBound)
    return map { max(low, min(high, $0)) }
  }

  /// 1 / (1 + e⁻ˣ) of every element.
  public func sigmoid() -> Matrix { map(Elementary.sigmoid) }

  /// From derivatives by `mean`, which is ``sigmoid()`` of a matrix, those by that matrix.
  public func throughSigmoid(_ mean: Matrix) -> Matrix { map(with: mean) { $0 * $1 * (1 - $1) } }

  /// 1 with the probability that every element is, else 0; the element is in [0, 1].
  ///
  /// - Parameter uniform: draws from [0, 1), as many.
  public func binarised(by uniform: Matrix) -> Matrix { map(with: uniform) { $1 < $0 ? 1 : 0 } }

  /// Adds the one row `row` to every row.
  public mutating func add(toRows row: Matrix) {
    precondition(row.rows == 1 && row.columns == columns, "one row as wide as the matrix")
    let wide = row.wide
    var x = elements.mutableSpan
    let b = wide.span
    for start in stride(from: 0, to: x.count, by: max(b.count, 1)) {
      for i in 0..<min(b.count, x.count - start) { x[start + i] += b[i] }
    }
  }

  /// The rows of a narrow matrix are worked on several at a time: a loop over few numbers would
  /// spend its time on beginning and ending.
  private static func together(_ columns: Int) -> Int { max(1, 512 / max(columns, 1)) }

  /// This one row, repeated to be as wide as the rows that are worked on at a time.
  var wide: [Float] {
    var wide: [Float] = []
    wide.reserveCapacity(Self.together(columns) * columns)
    for _ in 0..<Self.together(columns) { wide += elements }
    return wide
  }

  /// Row `r` becomes `a[r] · self + b[r] · other`: each example has its own coefficients.
  public mutating func scaleRows(_ a: [Float], adding b: [Float], _ other: Matrix) {
    precondition(hasShape(of: other) && a.count == rows && b.count == rows, "one factor a row")
    let width = columns
    var x = elements.mutableSpan
    let y = other.elements.span
    for row in a.indices {
      let (p, q, start) = (a[row], b[row], row * width)
      for i in start..<start + width { x[i] = p * x[i] + q * y[i] }
    }
  }

  /// Row `r` becomes `factors[r] · self`.
  public mutating func scaleRows(_ factors: [Float]) {
    precondition(factors.count == rows, "one factor a row")
    let width = columns
    var x = elements.mutableSpan
    for row in factors.indices {
      let (factor, start) = (factors[row], row * width)
      for i in start..<start + width { x[i] = factor * x[i] }
    }
  }

  /// The sum of every row.
  var rowSums: [Double] {
    let (width, x) = (columns, elements.span)
    return (0..<rows).map { row in
      let x = x.extracting(row * width..<(row + 1) * width)
      return blocked(width) { range in
        var sum: Float = 0
        for i in range { sum = Relaxed.sum(sum, x[i]) }
        return sum
      }
    }
  }

  /// Adds the sum of the rows of `other` to this one row.
  public mutating func add(rowsOf other: Matrix) {
    precondition(rows == 1 && columns == other.columns, "one row as wide as the matrix")
    let together = Self.together(columns)
    let (width, whole) = (together * columns, other.rows / together * together * columns)
    var wide = [Float](repeating: 0, count: width)
    var sum = wide.mutableSpan
    let x = other.elements.span
    for start in stride(from: 0, to: whole, by: max(width, 1)) {
      for i in 0..<width { sum[i] += x[start + i] }
    }
    for i in 0..<x.count - whole { sum[i] += x[whole + i] }
    let count = columns
    var total = elements.mutableSpan
    for start in stride(from: 0, to: width, by: max(count, 1)) {
      for i in 0..<count { total[i] += sum[start + i] }
    }
  }

  /// Whether no element is infinite or not a number.
  public var isFinite: Bool {
    // 0 · x is 0 unless x is infinite or NaN, and then NaN.
    let x = elements.span
    return blocked(elements.count) { range in
      var sum: Float = 0
      for i in range { sum = Relaxed.multiplyAdd(0, x[i], sum) }
      return sum
    } == 0
  }

  /// Σ x² over all elements.
  public var squaredNorm: Double { elements.squaredNorm }

  /// The inner product of all elements of both.
  public func dot(_ other: Matrix) -> Double {
    precondition(hasShape(of: other), "an inner product takes two matrices of one shape")
    let (x, y) = (elements.span, other.elements.span)
    return blocked(elements.count) { range in
      var sum: Float = 0
      for i in range { sum = Relaxed.multiplyAdd(x[i], y[i], sum) }
      return sum
    }
  }
}

extension [Float] {
  var sum: Double {
    let x = span
    return blocked(count) { range in
      var sum: Float = 0
      for i in range { sum = Relaxed.sum(sum, x[i]) }
      return sum
    }
  }

  var squaredNorm: Double {
    let x = span
    return blocked(count) { range in
      var sum: Float = 0
      for i in range { sum = Relaxed.multiplyAdd(x[i], x[i], sum) }
      return sum
    }
  }
}

/// Σ of `partial(range)` over blocks of 1 024 elements: single precision inside a block, where the
/// sum vectorises, and double precision over the blocks.
@inline(__always) func blocked(_ count: Int, _ partial: (Range<Int>) -> Float) -> Double {
  var total = 0.0
  for start in stride(from: 0, to: count, by: 1024) {
    total += Double(partial(start..<min(start + 1024, count)))
  }
  return total
}
