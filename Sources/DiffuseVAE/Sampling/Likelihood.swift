import Diffusion
import Formats
import Neural
import RealModule

/// How closely likelihoods are estimated.
public struct LikelihoodOptions: Sendable {
  /// Steps of the chain that the variational bound of an image is estimated from, at most all:
  /// In 1...100000.
  public var draws = 100
  /// Steps of the probability-flow ODE, each four evaluations of the network and of its derivative:
  /// In 1...10000.
  public var flowSteps = 25
  public var seed: UInt64 = 0
  public var threads: Int

  public init(threads: Int) { self.threads = threads }

  package static let allowedDraws = 1...100_000
  package static let allowedFlowSteps = 1...10_000

  fileprivate func check() throws {
    for (name, value, allowed) in [
      ("draws", draws, Self.allowedDraws), ("flow-steps", flowSteps, Self.allowedFlowSteps),
    ] {
      guard allowed.contains(value) else {
        throw UserError("\(name) is \(value); it must be in \(allowed)")
      }
    }
  }
}

/// Upper bounds of `-ln P(x)` for one image x of bytes, in nats.
///
/// With a VAE they are of `-ln P(x|x̂0)` for the x̂0 of one draw z ~ q(z|x). Since
///
///     ln P(x) ≥ E_q ln P(x|x̂0(z)) - KL(q(z|x) ‖ p(z))
///
/// a bound of the whole model is their mean over z plus the divergence.
package struct ImageLikelihood: Sendable {
  /// By the variance of the reverse steps: `analytic` and `learned` where the model knows them.
  package let bounds: [ReverseVariance: VariationalBound]
  /// By the probability-flow ODE.
  package let flow: Double
  /// `KL(q(z|x) ‖ p(z))`: from N(0, I) as it is, from a mixture by the draw of z. Nil without a VAE,
  /// and for a prior without a density.
  package let divergence: Double?
}

/// Estimates likelihoods under a model's second stage. Those of image `i` of a set do not depend on
/// the number of threads, and on other images only in their last bits.
package struct LikelihoodEstimator: Sendable {
  private let model: Model
  private let network: any Denoiser
  private let options: LikelihoodOptions
  private let levels: [Level]

  /// Images, and samples of one image's chain, that go through the network together.
  private static let together = 16

  /// Images that keep all threads busy.
  package var images: Int { Self.together * options.threads }

  /// - Throws: ``UserError`` for options out of range or more than memory holds, and for a model
  ///   without its second stage.
  package init(_ model: Model, _ options: LikelihoodOptions) throws {
    try options.check()
    guard let network = model.denoiser else {
      throw UserError("this model was loaded without its second stage")
    }
    let schedule = model.process.schedule
    levels = try schedule.levels(count: schedule.steps)
    let footprint = model.configuration.footprint(of: .denoiser, shape: model.shape)
    // A draw is a sample, its noise and its estimate; the flow a dozen of images.
    let draws = 3 * min(options.draws, levels.count) * model.shape.count
    let flow = 12 * Self.together * model.shape.count
    let atWork = Self.together * footprint.residualsPerImage + footprint.parameters + draws + flow
    try checkMemory(
      bytes: 4 * (footprint.parameters + footprint.prepared + options.threads * atWork),
      "likelihoods by \(options.draws) draws an image")
    self.model = model
    self.options = options
    self.network = network.prepared(training: true)
  }

  /// Of the images `indices`.
  ///
  /// - Throws: ``UserError`` when an output of the network is not finite.
  package func likelihoods(
    of images: ByteImages, _ indices: [Int]
  ) throws -> [ImageLikelihood] {
    let parts = indices.indices.parts(of: Self.together)
    return try concurrently(parts.count, threads: options.threads) {
      try batch(images, Array(indices[parts[$0]]))
    }.flatMap { $0 }
  }

  private func batch(_ images: ByteImages, _ indices: [Int]) throws -> [ImageLikelihood] {
    let (pixels, labels) = (images.pixels(indices), images.labels(indices))
    let latents = model.vae.map { vae in
      // No step of training, nor those of other evaluations, -1 and -2.
      let noise = RandomStream(seed: options.seed, purpose: .latentNoise, step: -3)
      return vae.chain(
        from: vae.encode(pixels, labels: labels),
        noise: noise.normal(rows: indices, columns: vae.noiseColumns))
    }
    let known = Known(model.vae, z: latents?.latents[0], labels: labels)
    let divergences = latents.flatMap { model.prior.divergences(of: $0) }
    let flows = try flow(pixels, indices, known)
    return try indices.enumerated().map { row, index in
      ImageLikelihood(
        bounds: try bounds(images.pixels([index]), index, known.rows([row])),
        flow: flows[row], divergence: divergences?[row])
    }
  }

  /// The bounds of one image, `[1, pixels]` in [0, 1], by a decoder of bytes.
  private func bounds(
    _ pixels: Matrix, _ index: Int, _ known: Known
  ) throws -> [ReverseVariance: VariationalBound] {
    let process = model.process
    let uniform = RandomStream(seed: options.seed, purpose: .chainStep)
      .uniform(rows: [index], columns: min(options.draws, levels.count))
    let y0 = process.formulation.chain(fromImage: pixels.affine(2, -1), known.reconstruction)
    // Of every sample, where the network chooses the variance: what that costs, and v of the last.
    var (divergences, chosen): ([Double], Matrix?) = ([], nil)
    let chain = try DenoisedChain(
      y0, through: levels,
      steps: ChainStep.drawn(from: levels, count: options.draws) { Double(uniform[0, $0]) },
      dimensions: pixels.columns
    ) { samples, levels in
      try samples.indices.parts(of: Self.together).flatMap { part in
        let (estimates, v) = try process.estimate(
          .stacked(Array(samples[part])), at: Array(levels[part]), network,
          known.rows([Int](repeating: 0, count: part.count)))
        if let v, let variances = process.variances {
          divergences +=
            chosenVarianceLosses(
              v, estimates, .stacked([Matrix](repeating: y0, count: part.count)),
              levels[part].map { ChosenVariance(variances[Int($0.timestep)], errorScale: 1) },
              weights: [Float](repeating: 1, count: part.count)
            ).losses
          chosen = v.rows(part.count - 1..<part.count)
        }
        return (0..<part.count).map { estimates.rows($0..<$0 + 1) }
      }
    } noise: {
      RandomStream(seed: options.seed, purpose: .chainNoise, step: $0)
        .normal(rows: [index], columns: pixels.columns)
    }
    let bytes = pixels.bytes
    let uncertainty = model.posteriorVariance
    func decoder(_ estimate: Matrix, _ variance: (Int) -> Double) -> Double {
      let means = process.formulation.image(fromChain: estimate, known.reconstruction).elements
      return bytes.indices.reduce(0) {
        // A denoiser that was never wrong where it was measured leaves no variance.
        let deviation = max(variance($1), 1e-20).squareRoot()
        return $0
          - logProbability(ofByte: bytes[$1], mean: Double(means[$1]), deviation: deviation)
      }
    }
    var bounds: [ReverseVariance: VariationalBound] = [:]
    for variance in ReverseVariance.allCases {
      switch variance {
      case .analytic where uncertainty == nil: break
      case .small, .large, .analytic:
        bounds[variance] = chain.bound {
          variance(from: $0, to: $1, uncertainty: uncertainty?($0) ?? 0)
        } decoder: { estimate, variance in
          decoder(estimate) { _ in variance }
        }
      case .learned:
        guard let v = chosen?.elements, let last = process.variances?.first else { break }
        bounds[variance] = chain.bound(divergences: divergences.dropLast()) { estimate in
          decoder(estimate) { last(Double(v[$0])) }
        }
      }
    }
    return bounds
  }

  /// `-ln P` by the flow, for images `[batch, pixels]` in [0, 1].
  ///
  /// Bytes are spread evenly over their bins: by Jensen's inequality the mean of `ln p` over a bin,
  /// plus the logarithm of its volume, is at most the logarithm of the bin's probability. The flow
  /// ends at the first level with noise, and an image is that sample over α.
  private func flow(
    _ pixels: Matrix, _ indices: [Int], _ known: Known
  ) throws -> [Double] {
    let (process, size) = (model.process, pixels.columns)
    let (first, last) = (levels[levels.count - 2], levels[0])
    func uniform(_ purpose: RandomStream.Purpose) -> Matrix {
      RandomStream(seed: options.seed, purpose: purpose).uniform(rows: indices, columns: size)
    }
    var images = pixels.affine(2, -1)
    images.add(uniform(.dequantisation).affine(2 / 255, -1 / 255))
    var start = process.formulation.chain(fromImage: images, known.reconstruction)
    start.scale(Float(first.alpha))
    // Of all independent elements of mean 0 and variance 1, signs have the least noise.
    let probe = uniform(.traceProbe)
    let signs = Matrix(probe.rows, size, probe.elements.map { $0 < 0.5 ? -1 : 1 })
    let densities = try flowLogDensity(
      of: start, from: first, to: last, steps: options.flowSteps, dimensions: size,
      inLambda: process.target.needsSignal, level: process.schedule.level(noiseShare:)
    ) { y, level in
      let (y0, product) = try process.vectorJacobianProduct(
        signs, at: y, level, network, known)
      return (y0, Matrix.dots(product, signs))
    }
    let volume = Double(size) * .log(first.alpha * 2 / 255)
    return densities.map { -$0 - volume }
  }
}

extension LatentPrior {
  /// `KL(q(z|x) ‖ p(z))` for a draw of each of a batch, in nats; nil if p has no density that is
  /// known.
  fileprivate func divergences(of chain: LatentChain) -> [Double]? {
    switch self {
    case .normal: chain.divergences(.mean(beta: 1, freeBits: nil))
    case .mixture(let mixture):
      zip(chain.posteriors[0].entropies, mixture.logDensities(of: chain.latents[0])).map {
        -$0 - $1
      }
    case .diffusion: nil
    }
  }
}
