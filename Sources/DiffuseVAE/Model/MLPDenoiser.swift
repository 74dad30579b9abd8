import Neural

/// Residual MLP whose blocks are steered by the time:
///
///     h = input([x, x̂0]);  h = block(h, e) …;  output(LayerNorm(h))
///
/// The last layer starts at zero.
public struct MLPDenoiser: LearnedDenoiser {
  var time: TimeEmbedding
  var input: Linear
  var blocks: [ModulatedBlock]
  var output: Linear
  private let pixels: Int

  // A product of many rows with weights as large as these is worth more than a cache that is not
  // left.
  public static let drawnTogether = 128

  public struct Residuals: Sendable {
    let time: TimeEmbedding.Residuals
    let input: Matrix
    var blocks: [ModulatedBlock.Residuals]
    let norm: LayerNorm.Residuals
    let output: Matrix
  }

  package init(
    _ settings: DenoiserSettings, shape: ImageShape, conditional: Bool, conditionFeatures: Int,
    timesteps: Int, seed: UInt64, learnsVariance: Bool
  ) {
    self.init(
      settings, pixels: shape.count, conditional: conditional,
      conditionFeatures: conditionFeatures, timesteps: timesteps, seed: seed,
      learnsVariance: learnsVariance)
  }

  init(
    _ settings: DenoiserSettings, pixels: Int, conditional: Bool, conditionFeatures: Int = 0,
    timesteps: Int, seed: UInt64, learnsVariance: Bool = false
  ) {
    self.pixels = pixels
    var source = ParameterSource(seed: seed)
    let (width, embedding) = (settings.width, settings.embedding)
    time = TimeEmbedding(
      timesteps: timesteps, features: settings.features, condition: conditionFeatures,
      width: embedding, &source)
    input = Linear(conditional ? 2 * pixels : pixels, width, &source)
    blocks = []
    for _ in 0..<settings.blocks {
      blocks.append(ModulatedBlock(width: width, embedding: embedding, &source))
    }
    output = Linear(width, learnsVariance ? 2 * pixels : pixels, zero: true, &source)
  }

  public func forward(
    _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
  ) -> (output: Matrix, residuals: Residuals) {
    forward(x, condition.image, time.forward(timesteps, condition.features), dropout)
  }

  private func forward(
    _ x: Matrix, _ image: Matrix?, _ time: (e: Matrix, residuals: TimeEmbedding.Residuals),
    _ dropout: Dropout?
  ) -> (output: Matrix, residuals: Residuals) {
    let inputs = image.map { x.joined($0) } ?? x
    var h = input(inputs)
    var blockResiduals: [ModulatedBlock.Residuals] = []
    for (i, block) in blocks.enumerated() {
      let (y, residuals) = block.forward(h, time.e, dropout: dropout?.layer(i, of: blocks.count))
      blockResiduals.append(residuals)
      h = y
    }
    let (normal, norm) = LayerNorm().forward(h)
    return (
      output(normal),
      Residuals(
        time: time.residuals, input: inputs, blocks: blockResiduals, norm: norm, output: normal)
    )
  }

  /// What the time makes alone is made once, for all images.
  public func predict(_ x: Matrix, condition: Condition, timestep: Double) -> Matrix {
    let e = time(timestep, rows: condition.features?.rows ?? 1, condition.features)
    var h = input(condition.image.map { x.joined($0) } ?? x)
    for block in blocks { h = block(h, e) }
    return output(LayerNorm()(h))
  }

  public func backward(
    _ dOutput: Matrix, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) {
    let (dh, de) = backwardToFirst(dOutput, &residuals, &gradients)
    input.backwardFromData(dh, residuals.input, &gradients)
    time.backward(de, residuals.time, &gradients)
  }

  func backwardToInputs(
    _ dOutput: Matrix, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) -> (dx: Matrix, dImage: Matrix?) {
    let (dh, de) = backwardToFirst(dOutput, &residuals, &gradients)
    time.backward(de, residuals.time, &gradients)
    let d = input.backward(dh, residuals.input, &gradients)
    return (
      d.columns(0..<pixels), d.columns > pixels ? d.columns(pixels..<2 * pixels) : nil
    )
  }

  /// Down to the derivatives by the first layer's output and by the embedding.
  private func backwardToFirst(
    _ dOutput: Matrix, _ residuals: inout Residuals, _ gradients: inout Gradients
  ) -> (dh: Matrix, de: Matrix) {
    var dh = output.backward(dOutput, residuals.output, &gradients)
    dh = LayerNorm().backward(dh, residuals.norm, &gradients)
    var de = Matrix(dh.rows, time.width)
    for block in blocks.reversed() {
      // What a block has left behind is given up: as much comes into being on the way back.
      let (dx, dEmbedding) = block.backward(dh, residuals.blocks.removeLast(), &gradients)
      de.add(dEmbedding)
      dh = dx
    }
    return (dh, de)
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try time.visit(path + ".time", body)
    try input.visit(path + ".input", body)
    try blocks.visit(path + ".blocks", body)
    try output.visit(path + ".output", body)
  }
}
