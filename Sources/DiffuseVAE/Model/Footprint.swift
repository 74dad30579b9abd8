import Formats
import Neural

/// What a network costs, counted from its settings before anything is made of them. The ranges of
/// the settings keep every product here far below overflow.
package struct Footprint {
  /// Trained numbers.
  package var parameters = 0
  /// Those of them whose derivatives are products of matrices with a row for each image.
  var dense = 0
  /// Numbers in one image's rows of these matrices.
  var factorsPerImage = 0
  /// Numbers that are kept besides.
  var constants = 0
  /// Numbers that a training makes of the weights, to compute with.
  var prepared = 0
  /// Numbers that one image takes in training, about: what it leaves behind for `backward`, most
  /// of all.
  var residualsPerImage = 0
  /// Numbers that one image takes in sampling, about.
  var samplingPerImage = 0

  /// Counts an MLP of these widths, input and output included.
  ///
  /// - Parameter draws: rows that an image takes.
  mutating func addMLP(_ widths: [Int], draws: Int = 1) {
    for (inputs, outputs) in zip(widths, widths.dropFirst()) {
      parameters += (inputs + 1) * outputs
      dense += inputs * outputs
      factorsPerImage += draws * (inputs + outputs)
      residualsPerImage += draws * 2 * inputs
    }
  }

  /// Counts a 3×3 convolution, without what it leaves behind.
  mutating func addConvolution(_ inputs: Int, _ outputs: Int, stride: Int = 1) {
    parameters += (9 * inputs + 1) * outputs
    prepared += Convolution3x3.preparedCount(inputs, outputs, stride: stride)
  }

  /// Counts a `ConvolutionalBlock` on maps of so many pixels.
  ///
  /// - Parameter isDecoder: its input then is what others left behind already.
  mutating func addBlock(
    _ inputs: Int, _ outputs: Int, embedding: Int, pixels: Int, isDecoder: Bool
  ) {
    // Gains and biases of the norms.
    parameters += 2 * inputs + 2 * outputs
    addConvolution(inputs, outputs)
    addMLP([embedding, 2 * outputs])
    addConvolution(outputs, outputs)
    if inputs != outputs { parameters += (inputs + 1) * outputs }
    // What each norm sees and each convolution, and the output.
    residualsPerImage += pixels * ((isDecoder ? 1 : 2) * inputs + 3 * outputs)
  }
}

extension Footprint {
  /// Of two networks that are trained together.
  static func + (a: Footprint, b: Footprint) -> Footprint {
    var sum = a
    sum.parameters += b.parameters
    sum.dense += b.dense
    sum.factorsPerImage += b.factorsPerImage
    sum.constants += b.constants
    sum.prepared += b.prepared
    sum.residualsPerImage += b.residualsPerImage
    sum.samplingPerImage += b.samplingPerImage
    return sum
  }
}

extension VAESettings {
  /// - Parameters:
  ///   - pixels: numbers in one image.
  ///   - samples: draws of z for each; unless given, those of training.
  func footprint(pixels: Int, samples: Int? = nil) -> Footprint {
    let samples = samples ?? self.samples
    var footprint = Footprint()
    footprint.addMLP([pixels + classes] + hidden + [2 * latent])
    footprint.addMLP([latent + classes] + hidden.reversed() + [pixels], draws: samples)
    footprint.residualsPerImage += 3 * pixels * samples
    for (below, above) in levels {
      footprint.addMLP([below] + upperHidden + [2 * above], draws: samples)
      footprint.addMLP([above] + upperHidden.reversed() + [2 * below], draws: samples)
    }
    // Of every latent: q and p, two numbers each; its noise, and itself.
    footprint.residualsPerImage += 6 * (latent + upperLatents.reduce(0, +)) * samples
    if likelihood == .gaussian { footprint.parameters += 1 }
    return footprint
  }
}

extension DenoiserSettings {
  fileprivate func addMLP(to footprint: inout Footprint, inputs: Int, outputs: Int) {
    footprint.addMLP([inputs, width])
    for _ in 0..<blocks {
      footprint.addMLP([embedding, 3 * width])
      footprint.addMLP([width, width, width])
      // The modulation, the norm, and both sides of the gate.
      footprint.residualsPerImage += 6 * width
    }
    footprint.samplingPerImage += 2 * inputs + 8 * width
    footprint.addMLP([width, outputs])
  }

  fileprivate func addUNet(
    to footprint: inout Footprint, inputs: Int, outputs: Int, shape: ImageShape
  ) {
    let levels = levels(shape: shape)
    let (first, last) = (levels[0], levels[levels.count - 1])
    func addBlock(_ inputs: Int, _ outputs: Int, _ level: UNetLevel, isDecoder: Bool = false) {
      footprint.addBlock(
        inputs, outputs, embedding: embedding, pixels: level.map.pixels, isDecoder: isDecoder)
    }
    footprint.addConvolution(inputs, first.channels)
    for level in levels {
      addBlock(level.above, level.channels, level)
      addBlock(2 * level.channels, level.above, level, isDecoder: true)
    }
    for level in levels.dropLast() {
      footprint.addConvolution(level.channels, level.channels, stride: 2)
    }
    addBlock(last.channels, last.channels, last)
    footprint.parameters += 2 * first.channels
    footprint.addConvolution(first.channels, outputs)
    // At a time: maps at the largest level, and of every level what goes across to the decoder; in
    // training, what the last layers see and derivatives, as many again.
    let maps = levels.map { $0.map.pixels * $0.channels }
    let (largest, across) = (maps.max() ?? 0, maps.reduce(0, +))
    footprint.samplingPerImage += 4 * largest + across
    footprint.residualsPerImage += 8 * largest + across
  }
}

extension DenoiserSettings {
  /// - Parameters: as of
  ///   ``LearnedDenoiser/init(_:shape:conditional:conditionFeatures:timesteps:seed:learnsVariance:)``.
  func footprint(
    shape: ImageShape, conditional: Bool, conditionFeatures: Int, timesteps: Int,
    learnsVariance: Bool = false
  ) -> Footprint {
    var footprint = Footprint()
    let (inputs, outputs) = (conditional ? 2 : 1, learnsVariance ? 2 : 1)
    if kind != .exact {
      footprint.addMLP([features, embedding, embedding])
      if conditionFeatures > 0 { footprint.addMLP([conditionFeatures, embedding]) }
      footprint.constants = timesteps * features
    }
    switch kind {
    case .mlp:
      addMLP(to: &footprint, inputs: inputs * shape.count, outputs: outputs * shape.count)
    case .unet:
      addUNet(
        to: &footprint, inputs: inputs * shape.channels, outputs: outputs * shape.channels,
        shape: shape)
    case .exact: break
    }
    // x, noise, target, x̂0 and the prediction; its parts, and their derivatives, if it has two.
    footprint.residualsPerImage += 8 * outputs * shape.count
    footprint.samplingPerImage += 8 * outputs * shape.count
    return footprint
  }
}

extension Configuration {
  /// Of a stage's network; that of the prior as if all latents were active.
  package func footprint(of stage: Stage, shape: ImageShape) -> Footprint {
    switch stage {
    case .vae: vae.footprint(pixels: shape.count)
    case .prior: prior.footprint(latents: vae.latent)
    case .denoiser, .consistency:
      denoiser.footprint(
        shape: shape, conditional: diffusion.condition, conditionFeatures: conditionFeatures,
        timesteps: diffusion.steps, learnsVariance: diffusion.learnVariance)
    }
  }

  /// Of what a stage trains.
  package func trainedFootprint(of stage: Stage, shape: ImageShape) -> Footprint {
    let own = footprint(of: stage, shape: shape)
    return stage == .vae && trainsTogether ? own + footprint(of: .denoiser, shape: shape) : own
  }

  /// Peak memory of training a stage, in bytes, without the data.
  package func trainingBytes(of stage: Stage, shape: ImageShape, threads: Int) -> Int {
    let footprint = trainedFootprint(of: stage, shape: shape)
    let batch = settings(of: stage).batch
    let lanes = min(training.lanes, batch)
    // Value, two moments, and average.
    let state = footprint.parameters * 4 + footprint.constants
    var frozen = stage != .vae && hasVAE ? vae.footprint(pixels: shape.count).parameters : 0
    if stage == .consistency { frozen += footprint.parameters + footprint.prepared }
    let together =
      switch stage {
      case .vae where !trainsTogether: VAEObjective(vae).together
      case .prior: Int.max
      case .vae, .denoiser, .consistency: denoiser.kind.network.together
      }
    let atWork = min(lanes, threads)
    let images = atWork * min((batch + lanes - 1) / lanes, together)
    let residuals = images * footprint.residualsPerImage
    // What lanes keep of the gradient: its matrices, or the factors of its products if these are
    // less. Factors are residuals, too, while a lane is at work.
    let (matrices, factors) = (lanes * footprint.dense, batch * footprint.factorsPerImage)
    let kept = lanes * (footprint.parameters - footprint.dense) + min(matrices, factors)
    let shared = factors < matrices ? factors * atWork / lanes : 0
    let passing = max(residuals + kept - shared, kept + footprint.parameters)
    let program = 8 << 20
    return 4 * (state + frozen + footprint.prepared + passing + program)
  }
}

/// Refuses what does not fit into the memory that this process may have, before it is asked for.
///
/// - Throws: ``UserError`` that says what it was for.
package func checkMemory(bytes: Int, limit: Int = largestMemory, _ purpose: String) throws {
  guard bytes <= limit else {
    throw UserError("\(purpose) takes about \(bytes.asMemory) of memory; \(memoryRemark)")
  }
}

/// Bytes that may be asked for: the system wants some, too.
package var largestMemory: Int { MachineMemory.limit / 10 * 9 }

/// How much there is.
var memoryRemark: String {
  let owner = MachineMemory.groupLimit == nil ? "this machine" : "its control group"
  return "\(owner) has \(MachineMemory.limit.asMemory)"
}

extension Int {
  /// Bytes as people say them.
  var asMemory: String {
    self < 10 << 30 ? "\(self >> 20) MiB" : "\((Double(self) / 0x1p30).digits(1)) GiB"
  }
}
