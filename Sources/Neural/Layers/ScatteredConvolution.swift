/// 3×3 convolution at stride 1 to few channels: what each pixel gives to its neighbourhood, `P = x
/// W'ᵀ`, is scattered. W' is the kernel turned by half a turn, with a row for each of its places
/// and outputs; nothing as large as nine times the input is ever made.
struct ScatteredConvolution: Sendable {
  let neighbourhoods: Neighbourhoods  // of the outputs
  let inputs: Int

  init(_ inputs: Int, _ outputs: Int, on map: MapShape) {
    neighbourhoods = Neighbourhoods(input: map, channels: outputs, stride: 1)
    self.inputs = inputs
  }

  func forward(_ x: Matrix, _ weight: Matrix, _ bias: Matrix) -> Matrix {
    let turned = turned(weight)
    var y = Matrix(x.rows, weight.rows)
    var part = Matrix(0, 0)
    for lines in neighbourhoods.blocks(batch: neighbourhoods.input.batch(of: x)) {
      part.replace(byProduct: x.rows(neighbourhoods.pixels(lines)), turned.transposed)
      neighbourhoods.scatter(part, lines, to: &y)
    }
    y.add(toRows: bias)
    return y
  }

  /// Adds the derivative of the loss by the weight to `dWeight`.
  ///
  /// - Returns: the derivative by `x`.
  func backward(_ dy: Matrix, _ x: Matrix, _ weight: Matrix, _ dWeight: inout Matrix) -> Matrix {
    let turned = turned(weight)
    var dTurned = Matrix(turned.rows, turned.columns)
    var dx = Matrix(unset: x.rows, x.columns)
    var (columns, part) = (Matrix(0, 0), Matrix(0, 0))
    for lines in neighbourhoods.blocks(batch: neighbourhoods.input.batch(of: x)) {
      let pixels = neighbourhoods.pixels(lines)
      neighbourhoods.gather(dy, lines, into: &columns)
      dTurned.add(product: columns.transposed, x.rows(pixels))  // dW' += dPᵀ x
      part.replace(byProduct: columns, turned)  // dx = dP W'
      dx.replace(rowsFrom: pixels.lowerBound, by: part)
    }
    for (o, place) in (0..<9 * weight.rows).map({ ($0 / 9, $0 % 9) }) {
      for i in 0..<inputs {
        dWeight[o, place * inputs + i] += dTurned[(8 - place) * weight.rows + o, i]
      }
    }
    return dx
  }

  /// `[9·outputs, inputs]`, rows ordered (ky, kx, output).
  private func turned(_ weight: Matrix) -> Matrix {
    var result = Matrix(9 * weight.rows, inputs)
    for (o, place) in (0..<9 * weight.rows).map({ ($0 / 9, $0 % 9) }) {
      for i in 0..<inputs {
        result[(8 - place) * weight.rows + o, i] = weight[o, place * inputs + i]
      }
    }
    return result
  }
}
