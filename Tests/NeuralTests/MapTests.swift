import RealModule
import Testing

@testable import Neural

/// Layers of feature maps against their definitions, written as loops.
@Suite struct MapTests {
  static let sizes = [
    MapShape(height: 7, width: 5), MapShape(height: 8, width: 8), MapShape(height: 1, width: 1),
    MapShape(height: 5, width: 8), MapShape(height: 2, width: 1),
  ]

  /// Where pixel (i, j) of a map is in a batch; nil outside.
  private func row(_ image: Int, _ i: Int, _ j: Int, _ map: MapShape) -> Int? {
    let isInside = (0..<map.height).contains(i) && (0..<map.width).contains(j)
    return isInside ? (image * map.height + i) * map.width + j : nil
  }

  private func naive(
    _ x: Matrix, _ weight: Matrix, _ bias: Matrix, _ map: MapShape, stride: Int
  ) -> Matrix {
    let output = MapShape(
      height: (map.height - 1) / stride + 1, width: (map.width - 1) / stride + 1)
    let batch = x.rows / map.pixels
    var y = Matrix(batch * output.pixels, weight.rows)
    for image in 0..<batch {
      for i in 0..<output.height {
        for j in 0..<output.width {
          guard let to = row(image, i, j, output) else { continue }
          for o in 0..<weight.rows {
            var sum = Double(bias[0, o])
            for (ky, kx) in (0..<9).map({ ($0 / 3, $0 % 3) }) {
              guard let from = row(image, stride * i + ky - 1, stride * j + kx - 1, map)
              else { continue }
              for c in 0..<x.columns {
                sum += Double(weight[o, (3 * ky + kx) * x.columns + c]) * Double(x[from, c])
              }
            }
            y[to, o] = Float(sum)
          }
        }
      }
    }
    return y
  }

  /// Few outputs, many, and such numbers as ``Winograd`` takes.
  static let channels = [(4, 3), (3, 4), (8, 16)]

  @Test("A convolution is its sum", arguments: sizes, channels)
  func convolution(map: MapShape, channels: (inputs: Int, outputs: Int)) {
    for stride in [1, 2] {
      var source = ParameterSource(seed: 1)
      let layer = Convolution3x3(
        channels.inputs, channels.outputs, on: map, stride: stride, &source
      ).randomised(0.3)
      let x = normal(3 * map.pixels, channels.inputs, seed: 2)
      let expected = naive(x, layer.weight.value, layer.bias.value, map, stride: stride)
      #expect(distance(layer(x), expected) < 1e-5)
      let residual = normal(expected.rows, channels.outputs, seed: 3)
      var sum = expected
      sum.add(residual)
      #expect(distance(layer.forward(x, plus: residual), sum) < 1e-5)
    }
  }

  @Test("A convolution's derivative by its input is its transpose, across blocks of a map, too")
  func transpose() {
    // Blocks end within the maps: of Winograd's 10 lines of tiles, and of the lines of pixels.
    let map = MapShape(height: 38, width: 30)
    for (stride, outputs) in [(1, 64), (1, 60), (2, 64)] {
      var source = ParameterSource(seed: 1)
      let layer = Convolution3x3(64, outputs, on: map, stride: stride, &source)
      let x = normal(2 * map.pixels, 64, seed: 2)
      var y = layer(x)
      let dy = normal(y.rows, outputs, seed: 3)
      var gradients = Gradients(of: layer)
      let dx = layer.backward(dy, x, &gradients)
      // <dy, A x> = <Aᵀ dy, x>, the sums of random terms.
      y.add(toRows: layer.bias.value.affine(-1, 0))
      let scale = (y.squaredNorm * dy.squaredNorm).squareRoot()
      #expect(abs(dy.dot(y) - dx.dot(x)) < 1e-6 * scale, "stride \(stride), \(outputs) outputs")
      // <dW, W> is the same sum.
      let dWeight = gradients[layer.weight].value
      #expect(abs(dy.dot(y) - dWeight.dot(layer.weight.value)) < 1e-6 * scale)
    }
  }

  /// By simulation in NumPy the errors are 5.4 times those of the plain sum in single precision.
  @Test("Winograd's algorithm is nearly as exact as the plain sum")
  func exactness() {
    let map = MapShape(height: 16, width: 16)
    var source = ParameterSource(seed: 1)
    let layer = Convolution3x3(64, 64, on: map, &source)
    let (weight, bias) = (layer.weight.value, layer.bias.value)
    let x = normal(map.pixels, 64, seed: 2)
    let expected = naive(x, weight, bias, map, stride: 1)
    func error(_ y: Matrix) -> Double {
      var difference = y
      difference.add(-1, expected)
      return difference.squaredNorm.squareRoot()
    }
    let plain = GatheredConvolution(64, on: map, stride: 1).forward(x, weight, bias)
    #expect(error(layer(x)) < 8 * error(plain))
  }

  @Test("A convolution of many maps is that of each, forward and backward", arguments: [3, 8])
  func blocks(outputs: Int) {
    for stride in [1, 2] { checkBlocks(outputs: outputs, stride: stride) }
  }

  private func checkBlocks(outputs: Int, stride: Int) {
    let map = MapShape(height: 7, width: 5)
    var source = ParameterSource(seed: 1)
    let layer = Convolution3x3(32, outputs, on: map, stride: stride, &source)
    let (batch, inputs) = (outputs == 3 ? 400 : 100, map.pixels)
    let x = normal(batch * inputs, 32, seed: 2)
    let (y, _) = layer.forward(x)
    let (blocks, outputPixels) =
      switch layer.lowering {
      case .winograd(let way): (way.blocks(batch: batch), inputs)
      case .scattered(let way): (way.neighbourhoods.blocks(batch: batch), inputs)
      case .gathered(let way):
        (way.neighbourhoods.blocks(batch: batch), way.neighbourhoods.output.pixels)
      }
    #expect(blocks.count > 1)
    let expected = naive(x, layer.weight.value, layer.bias.value, map, stride: stride)
    #expect(distance(y, expected) < 1e-5)
    var (whole, parts) = (Gradients(of: layer), Gradients(of: layer))
    let dy = normal(y.rows, outputs, seed: 3)
    let dx = layer.backward(dy, x, &whole)
    for image in 0..<batch {
      let pixels = image * inputs..<(image + 1) * inputs
      let part = layer.backward(
        dy.rows(image * outputPixels..<(image + 1) * outputPixels), x.rows(pixels), &parts)
      #expect(distance(part, dx.rows(pixels)) < 1e-5)
    }
    #expect(distance(whole[layer.weight].value, parts[layer.weight].value) < 1e-3)
    #expect(distance(whole[layer.bias].value, parts[layer.bias].value) < 1e-3)
  }

  @Test("A prepared convolution computes the same numbers, until its weights change")
  func prepared() {
    let map = MapShape(height: 6, width: 9)
    var source = ParameterSource(seed: 1)
    let plain = Convolution3x3(8, 16, on: map, &source)
    var layer = plain.prepared(training: true)
    #expect(plain.preparedCount == 0)
    #expect(layer.preparedCount == Convolution3x3.preparedCount(8, 16))
    #expect(layer.preparedCount == 2 * 36 * 8 * 16)
    #expect(plain.prepared(training: false).preparedCount == 36 * 8 * 16)
    let (x, dy) = (normal(2 * map.pixels, 8, seed: 1), normal(2 * map.pixels, 16, seed: 2))
    func results(_ layer: Convolution3x3) -> [Matrix] {
      var gradients = Gradients(of: layer)
      let dx = layer.backward(dy, x, &gradients)
      return [layer(x), dx, gradients[layer.weight].value, gradients[layer.bias].value]
    }
    #expect(results(layer) == results(plain))
    layer.visitParameters { $1.value.scale(2) }
    #expect(layer.preparedCount == 0)
    let twice = results(plain).map { $0.map { 2 * $0 } }
    #expect(results(layer)[0] == twice[0] && results(layer)[1] == twice[1])
  }

  /// Maps of which stretches of pixels are summed four at a time, once or more, with and without a
  /// remainder; of more channels than a stretch has numbers; and of one pixel.
  static let stretches = [
    (MapShape(height: 9, width: 7), 12, 3), (MapShape(height: 13, width: 11), 12, 3),
    (MapShape(height: 16, width: 16), 24, 2), (MapShape(height: 9, width: 7), 200, 5),
    (MapShape(height: 5, width: 5), 8, 8), (MapShape(height: 1, width: 1), 16, 2),
  ]

  @Test(
    "A group norm, modulated and activated, is its definition", arguments: [false, true], stretches)
  func groupNorm(isModulated: Bool, _ sizes: (map: MapShape, channels: Int, groups: Int)) {
    let (map, count, groups) = sizes
    let size = count / groups
    var source = ParameterSource(seed: 1)
    let norm = GroupNormSiLU(count, groups: groups, on: map, &source).randomised(1)
    // Far from zero, where a variance by Σ x² would lose half of its digits.
    let x = normal(4 * map.pixels, count, seed: 8).affine(3, 50)
    let m = isModulated ? normal(4, 2 * count, seed: 9) : Matrix(4, 2 * count)
    let y = norm.forward(x, modulation: isModulated ? m : nil).y
    for image in 0..<4 {
      let rows = image * map.pixels..<(image + 1) * map.pixels
      for group in 0..<groups {
        let channels = size * group..<size * (group + 1)
        let values = x.rows(rows).columns(channels).elements.map(Double.init)
        let mean = values.reduce(0, +) / Double(values.count)
        let squares = values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +)
        let deviation = (squares / Double(values.count) + 1e-5).squareRoot()
        for (row, c) in rows.flatMap({ row in channels.map { (row, $0) } }) {
          let n = (Double(x[row, c]) - mean) / deviation
          let normal = n * Double(norm.gain.value[0, c]) + Double(norm.bias.value[0, c])
          let s = normal * (1 + Double(m[image, c])) + Double(m[image, count + c])
          let expected = s / (1 + Double.exp(-s))
          #expect(abs(Double(y[row, c]) - expected) < 1e-4)
        }
      }
    }
  }

  @Test("Parts of a map are their columns of it, enlarged ones a square for every pixel")
  func parts() {
    let (small, map) = (MapShape(height: 2, width: 3), MapShape(height: 4, width: 6))
    let below = normal(2 * small.pixels, 5, seed: 1)
    let beside = normal(2 * map.pixels, 3, seed: 2)
    let left = MapPart(below, batch: 2, on: map, first: 0, of: 8)
    let right = MapPart(beside, batch: 2, on: map, first: 5, of: 8)
    let whole = MapPart.whole([left, right])
    #expect(whole.rows == 2 * map.pixels && whole.columns == 8)
    let dy = normal(whole.rows, 8, seed: 3)
    var sums = Matrix(below.rows, 5)
    for image in 0..<2 {
      for (i, j) in (0..<24).map({ ($0 / 6, $0 % 6) }) {
        guard let to = row(image, i, j, map), let from = row(image, i / 2, j / 2, small)
        else { continue }
        #expect(
          whole.rows(to..<to + 1) == below.rows(from..<from + 1).joined(beside.rows(to..<to + 1)))
        for c in 0..<5 { sums[from, c] += dy[to, c] }
      }
    }
    #expect(distance(left.derivative(of: dy), sums) < 1e-6)
    #expect(distance(left.shrunk(dy.columns(0..<5)), sums) < 1e-6)
    #expect(right.derivative(of: dy) == dy.columns(5..<8))
    #expect(right.shrunk(beside) == beside)
    var enlarged = Matrix(whole.rows, 5)
    left.add(below, to: &enlarged)
    #expect(enlarged == whole.columns(0..<5))
    var twice = beside
    right.add(beside, to: &twice)
    #expect(twice == beside.affine(2, 0))
    #expect(left.columns(of: dy) == dy.columns(0..<5))
    #expect(right.columns(of: dy) == dy.columns(5..<8))
  }

  @Test(
    "A block whose input comes in parts is the block of the whole, forward and backward",
    arguments: [false, true], [8, 16])
  func blockOfParts(isEnlarged: Bool, outputs: Int) {
    let map = MapShape(height: 4, width: 6)
    var source = ParameterSource(seed: 1)
    let block = ConvolutionalBlock(16, outputs, groups: 4, embedding: 6, on: map, &source)
      .randomised(0.3)
    let h = normal(2 * map.pixels / (isEnlarged ? 4 : 1), 8, seed: 2)
    let (skip, e) = (normal(2 * map.pixels, 8, seed: 3), normal(2, 6, seed: 4))
    let left = MapPart(h, batch: 2, on: map, first: 0, of: 16)
    let whole = MapPart.whole([left, MapPart(skip, batch: 2, on: map, first: 8, of: 16)])
    let (y, residuals) = block.forward(h, beside: skip, e)
    let (expected, wholeResiduals) = block.forward(whole, e)
    #expect(distance(y, expected) < 1e-5)
    #expect(distance(block(h, beside: skip, e), expected) < 1e-5)
    let dy = normal(y.rows, outputs, seed: 5)
    var (gradients, wholeGradients) = (Gradients(of: block), Gradients(of: block))
    let (dh, dSkip, de) = block.backward(dy, residuals, &gradients)
    let (dWhole, none, deWhole) = block.backward(dy, wholeResiduals, &wholeGradients)
    #expect(none == nil)
    #expect(distance(dh, left.derivative(of: dWhole)) < 1e-4)
    #expect(dSkip.map { distance($0, dWhole.columns(8..<16)) < 1e-4 } ?? false)
    #expect(distance(de, deWhole) < 1e-4)
    block.forEachParameter { name, parameter in
      let (value, expected) = (gradients[parameter].value, wholeGradients[parameter].value)
      #expect(distance(value, expected) < 1e-3, "\(name)")
    }
  }

  @Test("Pooled maps have the largest number of each square, and its slope alone", arguments: sizes)
  func maximum(map: MapShape) {
    let small = MapShape(height: (map.height + 1) / 2, width: (map.width + 1) / 2)
    // Few values, so that some are equal.
    let x = normal(3 * map.pixels, 5, seed: 1).map { $0.rounded() }
    let (y, choices) = MaxPool2(map).forward(x)
    #expect(y.rows == 3 * small.pixels && y.columns == 5)
    let dy = normal(y.rows, 5, seed: 2)
    var gradients = Gradients(of: MaxPool2(map))
    let dx = MaxPool2(map).backward(dy, choices, &gradients)
    var slopes = Matrix(x.rows, 5)
    for image in 0..<3 {
      for (i, j) in (0..<small.pixels).map({ ($0 / small.width, $0 % small.width) }) {
        guard let to = row(image, i, j, small) else { continue }
        let places = [(0, 0), (0, 1), (1, 0), (1, 1)]
        let square = places.compactMap { row(image, 2 * i + $0.0, 2 * j + $0.1, map) }
        for c in 0..<5 {
          let largest = square.map { x[$0, c] }.max()
          #expect(y[to, c] == largest)
          if let first = square.first(where: { x[$0, c] == largest }) {
            slopes[first, c] = dy[to, c]
          }
        }
      }
    }
    #expect(dx == slopes)
  }

  @Test(
    "A moved image has every pixel in its new place, and black where none came", arguments: sizes)
  func translation(map: MapShape) {
    let moves = (-3...3).flatMap { down in
      (-3...3).map { Translation(down: down, right: $0) }
    }
    let x = normal(moves.count * map.pixels, 2, seed: 1)
    let y = x.reshaped(columns: 2 * map.pixels).translated(by: moves, on: map).reshaped(columns: 2)
    for (image, move) in moves.enumerated() {
      for (i, j) in (0..<map.pixels).map({ ($0 / map.width, $0 % map.width) }) {
        guard let to = row(image, i, j, map) else { continue }
        let from = row(image, i - move.down, j - move.right, map)
        #expect(y.rows(to..<to + 1) == from.map { x.rows($0..<$0 + 1) } ?? Matrix(1, 2))
      }
    }
  }
}
