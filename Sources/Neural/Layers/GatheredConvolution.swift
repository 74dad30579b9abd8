/// 3×3 convolution as the product of its kernels with all neighbourhoods ("im2col"): with the
/// neighbourhoods of the pixels as rows of a matrix N, `y = N Wᵀ + b`.
struct GatheredConvolution: Sendable {
  let neighbourhoods: Neighbourhoods

  init(_ inputs: Int, on map: MapShape, stride: Int) {
    neighbourhoods = Neighbourhoods(input: map, channels: inputs, stride: stride)
  }

  func forward(_ x: Matrix, _ weight: Matrix, _ bias: Matrix) -> Matrix {
    let batch = neighbourhoods.input.batch(of: x)
    var y = Matrix(unset: batch * neighbourhoods.output.pixels, weight.rows)
    var (columns, part) = (Matrix(0, 0), Matrix(0, 0))
    for lines in neighbourhoods.blocks(batch: batch) {
      neighbourhoods.gather(x, lines, into: &columns)
      part.replace(byProduct: columns, weight.transposed)
      y.replace(rowsFrom: neighbourhoods.pixels(lines).lowerBound, by: part, plus: bias)
    }
    return y
  }

  /// Adds the derivative of the loss by the weight to `dWeight`.
  ///
  /// - Returns: the derivative by `x`.
  func backward(_ dy: Matrix, _ x: Matrix, _ weight: Matrix, _ dWeight: inout Matrix) -> Matrix {
    addWeightDerivative(dy, x, to: &dWeight)
    var dx = Matrix(x.rows, x.columns)
    var columns = Matrix(0, 0)
    for lines in neighbourhoods.blocks(batch: neighbourhoods.input.batch(of: x)) {
      columns.replace(byProduct: dy.rows(neighbourhoods.pixels(lines)), weight)  // dN = dy W
      neighbourhoods.scatter(columns, lines, to: &dx)
    }
    return dx
  }

  func addWeightDerivative(_ dy: Matrix, _ x: Matrix, to dWeight: inout Matrix) {
    var columns = Matrix(0, 0)
    for lines in neighbourhoods.blocks(batch: neighbourhoods.input.batch(of: x)) {
      neighbourhoods.gather(x, lines, into: &columns)
      let part = dy.rows(neighbourhoods.pixels(lines))
      dWeight.add(product: part.transposed, columns)  // dW += dyᵀ N
    }
  }
}

extension Matrix {
  /// Makes the rows from `first` on equal to those of `part`.
  mutating func replace(rowsFrom first: Int, by part: Matrix) {
    precondition(part.columns == columns && first + part.rows <= rows)
    let (count, start) = (part.elements.count, first * columns)
    var y = elements.mutableSpan
    let part = part.elements.span
    for i in 0..<count { y[start + i] = part[i] }
  }

  /// Makes the rows from `first` on equal to those of `part`, each plus the one row `row`.
  fileprivate mutating func replace(rowsFrom first: Int, by part: Matrix, plus row: Matrix) {
    precondition(part.columns == columns && row.columns == columns && first + part.rows <= rows)
    let (count, start) = (part.elements.count, first * columns)
    var y = elements.mutableSpan
    let part = part.elements.span
    let wide = row.wide
    let row = wide.span
    for from in stride(from: 0, to: count, by: max(row.count, 1)) {
      for i in 0..<min(row.count, count - from) { y[start + from + i] = part[from + i] + row[i] }
    }
  }
}
