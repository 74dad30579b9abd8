/// 3×3 convolution at stride 1 to few channels: what each pixel gives to its neighbourhood, `P = W'
/// xᵀ`, is scattered. W' is the kernel turned by half a turn, with a row for each of its places
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
    // Every output's map by itself, so that a line of it is a line of P, moved.
    var planes = Matrix(weight.rows, x.rows)
    var part = Matrix(0, 0)
    for lines in neighbourhoods.blocks(batch: neighbourhoods.input.batch(of: x)) {
      part.replace(byProduct: turned, x.rows(neighbourhoods.pixels(lines)).transposed)
      scatter(part, lines, to: &planes)
    }
    var y = planes.flipped
    y.add(toRows: bias)
    return y
  }

  /// Adds the lines of P to where they belong.
  ///
  /// - Parameters:
  ///   - part: of some lines of the maps, `[9·outputs, pixels]`, rows ordered (ky, kx, output).
  ///   - planes: `[outputs, batch·height·width]`
  private func scatter(_ part: Matrix, _ lines: Range<Int>, to planes: inout Matrix) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.lowering, since: began) }
    let (map, outputs, pixels) = (neighbourhoods.input, planes.rows, planes.columns)
    let part = part.elements.span
    var y = planes.elements.mutableSpan
    for (number, line) in lines.enumerated() {
      for row in 0..<9 * outputs {
        let (place, output) = row.quotientAndRemainder(dividingBy: outputs)
        let (down, right) = (place / 3 - 1, place % 3 - 1)
        guard (0..<map.height).contains(line % map.height + down) else { continue }
        let (first, count) = (max(0, -right), map.width - abs(right))
        let from = (row * lines.count + number) * map.width + first
        let to = output * pixels + (line + down) * map.width + first + right
        let given = part.extracting(from..<from + count)
        var sums = y._mutatingExtracting(to..<to + count)
        for i in 0..<count { sums[i] += given[i] }
      }
    }
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
