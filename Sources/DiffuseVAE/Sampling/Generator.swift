import Diffusion
import Neural

/// How images are drawn from a trained model.
public struct SamplingOptions: Sendable {
  public var sampler: SamplingSettings.Sampler
  /// Evaluations of the network for one image.
  public var steps: Int
  public var eta: Double
  public var variance: ReverseVariance
  public var spacing: Spacing
  /// Standard deviation of the latents z that are drawn.
  public var temperature = 1.0
  public var seed: UInt64 = 0
  /// Images that go through the network together. Changes speed and memory, and the last bits.
  public var batch = 64
  public var threads: Int

  /// What the model's configuration says.
  public init(_ settings: SamplingSettings, threads: Int) {
    sampler = settings.sampler
    steps = settings.steps
    eta = settings.eta
    variance = settings.variance
    spacing = settings.spacing
    self.threads = threads
  }
}

/// What decides one image: everything random about it, besides the options.
struct Draft: Sendable {
  /// `[1, latent]`; nil without a VAE.
  var z: Matrix?
  /// y_T, `[1, pixels]`.
  var start: Matrix
  /// The address of the noise that stochastic samplers add.
  var noise: Int
}

/// Draws images from a model. Image `i` of a seed is the same image, whatever else is drawn.
public struct Generator: Sendable {
  let model: Model
  let options: SamplingOptions
  private let levels: [Level]

  /// - Throws: `DiffusionError` or ``UserError`` for options out of range.
  public init(_ model: Model, _ options: SamplingOptions) throws {
    self.model = model
    self.options = options
    levels = try model.process.schedule.levels(count: options.steps, spacing: options.spacing)
    guard (0...1).contains(options.eta) else {
      throw UserError("eta is \(options.eta); it must be in 0...1")
    }
    guard options.temperature.isFinite, options.temperature >= 0 else {
      throw UserError("temperature is \(options.temperature); it must be a number from 0 up")
    }
    guard (1...65536).contains(options.batch) else {
      throw UserError("batch is \(options.batch); it must be in 1...65536")
    }
  }

  /// Images `range` of the seed.
  ///
  /// - Returns: `[range.count, pixels]` in [0, 1].
  public func images(_ range: Range<Int>) throws -> Matrix {
    try refine(range.map(draft))
  }

  /// What the VAE alone makes of the latents of the images `range`: x̂0.
  ///
  /// - Returns: `[range.count, pixels]` in [0, 1].
  /// - Throws: ``UserError`` for the unconditional baseline, which has no VAE.
  public func reconstructions(_ range: Range<Int>) throws -> Matrix {
    try reconstructions(range.map(draft))
  }

  func draft(_ index: Int) -> Draft {
    let pixels = model.shape.count
    let start = RandomStream(seed: options.seed, purpose: .start).normal(
      rows: [index], columns: pixels)
    let z = model.vae.map { vae in
      var z = RandomStream(seed: options.seed, purpose: .latent).normal(
        rows: [index], columns: vae.latent)
      z.scale(Float(options.temperature))
      return z
    }
    return Draft(z: z, start: start, noise: index)
  }

  func reconstructions(_ drafts: [Draft]) throws -> Matrix {
    guard let vae = model.vae else {
      throw UserError("formulation none has no VAE and no reconstructions")
    }
    return try inChunks(drafts) { chunk in
      vae.decode(.stacked(chunk.compactMap(\.z))).clamped(to: 0...1)
    }
  }

  func refine(_ drafts: [Draft]) throws -> Matrix {
    guard let network = model.denoiser else {
      throw UserError("this model was loaded without its second stage")
    }
    return try inChunks(drafts) { chunk in try refine(chunk, network) }
  }

  /// The whole second stage for one batch.
  private func refine(_ drafts: [Draft], _ network: any Denoiser) throws -> Matrix {
    let process = model.process
    let reconstruction = model.vae.map { $0.reconstruction(.stacked(drafts.compactMap(\.z))) }
    let start = Matrix.stacked(drafts.map(\.start))
    let addresses = drafts.map(\.noise)
    func denoise(_ y: Matrix, _ level: Level) -> Matrix {
      process.denoise(y, at: level, network, reconstruction)
    }
    func noise(_ step: Int) -> Matrix {
      RandomStream(seed: options.seed, purpose: .reverseNoise, step: step).normal(
        rows: addresses, columns: start.columns)
    }
    let y0 =
      switch options.sampler {
      case .ddpm:
        ancestral(
          from: start, through: levels, variance: options.variance, denoise: denoise, noise: noise)
      case .ddim:
        try ddim(from: start, through: levels, eta: options.eta, denoise: denoise, noise: noise)
      }
    return process.formulation.image(fromChain: y0, reconstruction).affine(0.5, 0.5)
      .clamped(to: 0...1)
  }

  /// Runs `body` over batches of exactly `options.batch` drafts, the last one filled up with
  /// repetitions: products round differently for different heights, and an image must not depend
  /// on how many others are drawn.
  private func inChunks(
    _ drafts: [Draft], _ body: @Sendable ([Draft]) throws -> Matrix
  ) throws -> Matrix {
    let batch = options.batch
    let chunks = stride(from: 0, to: drafts.count, by: batch).map { start in
      Array(drafts[start..<min(start + batch, drafts.count)])
    }
    let parts = try concurrently(chunks.count, threads: options.threads) { index in
      let chunk = chunks[index]
      let filler = (chunk.count..<batch).map { chunk[$0 % chunk.count] }
      return try body(chunk + filler).rows(0..<chunk.count)
    }
    return .stacked(parts)
  }
}
