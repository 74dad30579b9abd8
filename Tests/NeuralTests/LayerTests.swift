import Testing

@testable import Neural

@Suite struct LayerTests {
  @Test("Derivatives of every layer agree with finite differences")
  func layers() {
    var source = ParameterSource(seed: 1)
    check("Linear", Linear(7, 5, &source).randomised(0.5), normal(6, 7, seed: 2))
    check("SiLU", SiLU(), normal(6, 7, seed: 3))
    check("LayerNorm", LayerNorm(), normal(6, 9, seed: 4))
    source = ParameterSource(seed: 2)
    check("MLP", MLP([7, 11, 8, 5], &source).randomised(0.4), normal(6, 7, seed: 5))
    check(
      "MLP of tanh", MLP([7, 11, 8, 5], &source, activation: .tanh).randomised(0.4),
      normal(6, 7, seed: 5))
    let map = MapShape(height: 5, width: 4)
    for stride in 1...2 {
      source = ParameterSource(seed: 3)
      check(
        "Convolution3x3", Convolution3x3(3, 4, on: map, stride: stride, &source).randomised(0.3),
        normal(2 * map.pixels, 3, seed: 6))
    }
    source = ParameterSource(seed: 3)
    check(
      "scattered convolution", Convolution3x3(5, 2, on: map, &source).randomised(0.3),
      normal(2 * map.pixels, 5, seed: 6))
    source = ParameterSource(seed: 3)
    check(
      "Winograd's convolution", Convolution3x3(8, 16, on: map, &source).randomised(0.3),
      normal(2 * map.pixels, 8, seed: 6))
    source = ParameterSource(seed: 4)
    check(
      "GroupNormSiLU", GroupNormSiLU(6, groups: 3, on: map, &source).randomised(0.5),
      normal(2 * map.pixels, 6, seed: 7))
    // Numbers so far apart that none overtakes another between the differences.
    check("MaxPool2", MaxPool2(map), spread(2 * map.pixels, 3, by: 0.03, seed: 9))
  }

  /// A fixed one, under which a block is as smooth as without.
  private func dropout(_ rate: Double, examples: Int) -> Dropout? {
    Dropout(rate: rate, RandomStream(seed: 9, purpose: .dropout), rows: 0..<examples)
  }

  @Test(
    "Derivatives of the modulated block agree with finite differences, also by its embedding",
    arguments: [0, 0.4])
  func modulatedBlock(rate: Double) {
    let dropout = dropout(rate, examples: 5)
    var source = ParameterSource(seed: 1)
    let block = ModulatedBlock(width: 10, embedding: 6, &source).randomised(0.4)
    let errors = worstGradientError(
      block, inputs: [normal(5, 10, seed: 6), normal(5, 6, seed: 7)],
      forward: { $0.forward($1[0], $1[1], dropout: dropout).y },
      backward: { block, x, dy, gradients in
        let (_, residuals) = block.forward(x[0], x[1], dropout: dropout)
        let (dh, de) = block.backward(dy, residuals, &gradients)
        return [dh, de]
      })
    #expect(errors.count == 8)
    for (name, error) in errors { #expect(error < 2e-3, "\(name)") }
  }

  @Test(
    "Derivatives of the convolutional block agree with finite differences, also by its embedding",
    arguments: [8, 12], [0, 0.4])
  func convolutionalBlock(outputs: Int, rate: Double) {
    let dropout = dropout(rate, examples: 2)
    var source = ParameterSource(seed: 1)
    let map = MapShape(height: 4, width: 3)
    let block = ConvolutionalBlock(8, outputs, groups: 4, embedding: 6, on: map, &source)
      .randomised(0.3)
    let errors = worstGradientError(
      block, inputs: [normal(2 * map.pixels, 8, seed: 6), normal(2, 6, seed: 7)],
      forward: { $0.forward($1[0], $1[1], dropout: dropout).y },
      backward: { block, x, dy, gradients in
        let (_, residuals) = block.forward(x[0], x[1], dropout: dropout)
        let (dh, _, de) = block.backward(dy, residuals, &gradients)
        return [dh, de]
      })
    #expect(errors.count == (outputs == 8 ? 12 : 14))
    for (name, error) in errors { #expect(error < 3e-3, "\(name)") }
  }

  @Test("A modulated block starts as the identity")
  func identity() {
    var source = ParameterSource(seed: 1)
    let block = ModulatedBlock(width: 10, embedding: 6, &source)
    let h = normal(5, 10, seed: 6)
    #expect(block.forward(h, normal(5, 6, seed: 7)).y == h)
  }

  @Test("The first layer's short cut leaves the same gradients")
  func fromData() {
    var source = ParameterSource(seed: 1)
    let mlp = MLP([7, 11, 5], &source)
    let (y, residuals) = mlp.forward(normal(6, 7, seed: 5))
    var (whole, short) = (Gradients(of: mlp), Gradients(of: mlp))
    _ = mlp.backward(y, residuals, &whole)
    mlp.backwardFromData(y, residuals, &short)
    mlp.forEachParameter { #expect(whole[$1].value == short[$1].value) }
  }

  @Test("LayerNorm's rows have mean 0 and variance 1")
  func standardised() {
    let y = LayerNorm()(normal(4, 1000, seed: 8).affine(3, 7))
    for row in 0..<4 {
      let x = y.rows(row..<row + 1).elements.map(Double.init)
      let mean = x.reduce(0, +) / 1000
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 1000
      #expect(abs(mean) < 1e-6)
      #expect(abs(variance - 1) < 1e-4)
    }
  }

  @Test("Averages and values change places without loss")
  func averages() {
    var source = ParameterSource(seed: 1)
    let layer = Linear(3, 2, &source)
    var swapped = layer
    swapped.visitParameters { $1.average.scale(2) }
    swapped = swapped.averaged
    var doubled = layer.weight.value
    doubled.scale(2)
    #expect(swapped.weight.value == doubled)
    #expect(swapped.weight.average == layer.weight.value)
  }

  /// The numbers 0, `step`, 2 · `step`, … in some order.
  private func spread(_ rows: Int, _ columns: Int, by step: Float, seed: UInt64) -> Matrix {
    var random = SequentialRandom(RandomStream(seed: seed, purpose: .shuffle))
    let places = (0..<rows * columns).shuffled(using: &random)
    return Matrix(rows, columns, places.map { step * Float($0) })
  }

  private func check<L: Layer>(_ name: String, _ layer: L, _ x: Matrix) {
    let errors = worstGradientError(
      layer, inputs: [x], forward: { $0($1[0]) },
      backward: { layer, x, dy, gradients in
        [layer.backward(dy, layer.forward(x[0]).residuals, &gradients)]
      })
    for (parameter, error) in errors { #expect(error < 2e-3, "\(name) \(parameter)") }
  }
}
