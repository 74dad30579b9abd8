import Neural

/// Convolutional denoiser (Ronneberger et al. 2015; Ho et al. 2020), every block of it steered by
/// the time. The encoder halves the maps from level to level; the decoder goes the same way back
/// and at each level sees what the encoder had there:
///
///     h = input([x, x̂0])
///     h, skip[0] = encoder[0](h, e);  h = down(h);  h, skip[1] = encoder[1](h, e) …
///     h = middle(h, e)
///     … h = decoder[1]([h, skip[1]], e);  h = decoder[0]([up(h), skip[0]], e)
///     output(SiLU(norm(h)))
///
/// The last layer starts at zero.
public struct UNetDenoiser: LearnedDenoiser {
  /// Of every norm; what all channels are multiples of.
  static let groups = 8

  public static let together = 32
  public static let drawnTogether = 32

  var time: TimeEmbedding
  var input: Convolution3x3
  var encoder: [ConvolutionalBlock]  // by level
  var down: [Convolution3x3]  // from level l to l + 1
  var middle: ConvolutionalBlock
  var decoder: [ConvolutionalBlock]  // by level
  var norm: GroupNormSiLU
  var output: Convolution3x3
  private let channels: Int  // of images

  public struct Residuals: Sendable {
    let time: TimeEmbedding.Residuals
    let input: Matrix
    let skips: [Matrix]
    let encoder: [ConvolutionalBlock.Residuals]
    let middle: ConvolutionalBlock.Residuals
    let decoder: [ConvolutionalBlock.Residuals]
    let norm: GroupNormSiLU.Residuals
    let output: Matrix
  }

  package init(
    _ settings: DenoiserSettings, shape: ImageShape, conditional: Bool, conditionFeatures: Int,
    timesteps: Int, seed: UInt64, learnsVariance: Bool = false
  ) {
    channels = shape.channels
    var source = ParameterSource(seed: seed)
    let levels = settings.levels(shape: shape)
    func block(_ inputs: Int, _ outputs: Int, _ level: UNetLevel) -> ConvolutionalBlock {
      ConvolutionalBlock(
        inputs, outputs, groups: Self.groups, embedding: settings.embedding, on: level.map,
        &source)
    }
    let (first, last) = (levels[0], levels[levels.count - 1])
    time = TimeEmbedding(
      timesteps: timesteps, features: settings.features, condition: conditionFeatures,
      width: settings.embedding, &source)
    input = Convolution3x3(
      conditional ? 2 * shape.channels : shape.channels, first.channels, on: first.map, &source)
    encoder = levels.map { block($0.above, $0.channels, $0) }
    down = levels.dropLast().map {
      Convolution3x3($0.channels, $0.channels, on: $0.map, stride: 2, &source)
    }
    middle = block(last.channels, last.channels, last)
    decoder = levels.map { block(2 * $0.channels, $0.above, $0) }
    norm = GroupNormSiLU(first.channels, groups: Self.groups, on: first.map, &source)
    output = Convolution3x3(
      first.channels, learnsVariance ? 2 * shape.channels : shape.channels, on: first.map,
      zero: true, &source)
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
    let inputs = inputs(x, image)
    let (levels, layers) = (encoder.count, encoder.count + 1 + decoder.count)
    var blocks: [ConvolutionalBlock.Residuals] = []
    var outputs: [Matrix] = []
    let h = walk(inputs) { block, h, skip in
      let (y, residuals) = block.forward(
        h, beside: skip, time.e, dropout: dropout?.layer(blocks.count, of: layers))
      blocks.append(residuals)
      if outputs.count < levels { outputs.append(y) }
      return y
    }
    let (activated, normResiduals) = norm.forward(h)
    return (
      rows(output(activated), pixels: x.columns),
      Residuals(
        time: time.residuals, input: inputs, skips: outputs,
        encoder: Array(blocks.prefix(levels)), middle: blocks[levels],
        decoder: blocks.dropFirst(levels + 1).reversed(), norm: normResiduals, output: activated)
    )
  }

  public func predict(_ x: Matrix, condition: Condition, timestep: Double) -> Matrix {
    let e = time(timestep, rows: x.rows, condition.features)
    let h = walk(inputs(x, condition.image)) { block, h, skip in block(h, beside: skip, e) }
    return rows(output(norm(h)), pixels: x.columns)
  }

  /// The output, whose maps have `[target, 2v - 1]` for every pixel if it learns the variance.
  private func rows(_ maps: Matrix, pixels: Int) -> Matrix {
    guard maps.columns > channels else { return maps.reshaped(columns: pixels) }
    return maps.columns(0..<channels).reshaped(columns: pixels).joined(
      maps.columns(channels..<2 * channels).reshaped(columns: pixels))
  }

  /// The maps of the output's rows.
  private func maps(_ rows: Matrix) -> Matrix {
    guard output.outputs > channels else { return rows.reshaped(columns: channels) }
    let pixels = rows.columns / 2
    return rows.columns(0..<pixels).reshaped(columns: channels).joined(
      rows.columns(pixels..<2 * pixels).reshaped(columns: channels))
  }

  /// `[x, x̂0]` for every pixel.
  private func inputs(_ x: Matrix, _ image: Matrix?) -> Matrix {
    let maps = x.reshaped(columns: channels)
    return image.map { maps.joined($0.reshaped(columns: channels)) } ?? maps
  }

  /// The way from the inputs to the last norm, `through` every block: down the encoder, through the
  /// middle, up the decoder.
  private func walk(
    _ inputs: Matrix, through: (_ block: ConvolutionalBlock, _ h: Matrix, _ skip: Matrix?) -> Matrix
  ) -> Matrix {
    var h = input(inputs)
    var skips: [Matrix] = []
    for level in encoder.indices {
      if level > 0 { h = down[level - 1](h) }
      h = through(encoder[level], h, nil)
      skips.append(h)
    }
    h = through(middle, h, nil)
    for level in decoder.indices.reversed() { h = through(decoder[level], h, skips[level]) }
    return h
  }

  public func backward(_ dOutput: Matrix, _ residuals: Residuals, _ gradients: inout Gradients) {
    let (dh, de) = backwardToFirst(dOutput, residuals, &gradients)
    input.backwardFromData(dh, residuals.input, &gradients)
    time.backward(de, residuals.time, &gradients)
  }

  func backwardToInputs(
    _ dOutput: Matrix, _ residuals: Residuals, _ gradients: inout Gradients
  ) -> (dx: Matrix, dImage: Matrix?) {
    let (dh, de) = backwardToFirst(dOutput, residuals, &gradients)
    time.backward(de, residuals.time, &gradients)
    let d = input.backward(dh, residuals.input, &gradients)
    func rows(_ channels: Range<Int>) -> Matrix {
      let maps = d.columns(channels)
      return maps.reshaped(columns: maps.elements.count / max(dOutput.rows, 1))
    }
    return (
      rows(0..<channels), d.columns > channels ? rows(channels..<2 * channels) : nil
    )
  }

  /// Down to the derivatives by the first layer's output and by the embedding.
  private func backwardToFirst(
    _ dOutput: Matrix, _ r: Residuals, _ gradients: inout Gradients
  ) -> (dh: Matrix, de: Matrix) {
    var de = Matrix(dOutput.rows, time.width)
    func back(
      _ block: ConvolutionalBlock, _ dh: Matrix, _ residuals: ConvolutionalBlock.Residuals,
      _ gradients: inout Gradients
    ) -> (dh: Matrix, dSkip: Matrix?) {
      let (dx, dSkip, dEmbedding) = block.backward(dh, residuals, &gradients)
      de.add(dEmbedding)
      return (dx, dSkip)
    }
    var dh = output.backward(maps(dOutput), r.output, &gradients)
    dh = norm.backward(dh, r.norm, &gradients)
    var dSkips: [Matrix?] = []  // by level
    for level in decoder.indices {
      let (dBelow, dSkip) = back(decoder[level], dh, r.decoder[level], &gradients)
      dSkips.append(dSkip)
      dh = dBelow
    }
    dh = back(middle, dh, r.middle, &gradients).dh
    for level in encoder.indices.reversed() {
      dSkips[level].map { dh.add($0) }
      dh = back(encoder[level], dh, r.encoder[level], &gradients).dh
      if level > 0 { dh = down[level - 1].backward(dh, r.skips[level - 1], &gradients) }
    }
    return (dh, de)
  }

  public mutating func prepare(training: Bool) {
    input.prepare(training: training)
    encoder.prepare(training: training)
    down.prepare(training: training)
    middle.prepare(training: training)
    decoder.prepare(training: training)
    output.prepare(training: training)
  }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try time.visit(path + ".time", body)
    try input.visit(path + ".input", body)
    try encoder.visit(path + ".encoder", body)
    try down.visit(path + ".down", body)
    try middle.visit(path + ".middle", body)
    try decoder.visit(path + ".decoder", body)
    try norm.visit(path + ".norm", body)
    try output.visit(path + ".output", body)
  }
}
