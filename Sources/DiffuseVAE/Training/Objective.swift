import Diffusion
import Neural

/// What one stage minimises: forward and backward of its loss on a slice of a batch.
package protocol Objective: Sendable {
  associatedtype Network: Parameterized
  associatedtype Residuals: Sendable

  /// Names of the terms that `forward` returns, the minimised one first.
  var terms: [String] { get }

  /// Examples that go through the network together: a lane takes its slice by such parts, since
  /// what `forward` leaves behind for `backward` is the most of a training's memory.
  var together: Int { get }

  /// - Returns: the slice's share of every term's mean over the whole batch.
  func forward(_ network: Network, _ slice: Slice) -> (terms: [Double], residuals: Residuals)

  /// Adds the derivatives of the first term.
  ///
  /// - Parameter residuals: may be given up part by part, as they are used.
  func backward(
    _ network: Network, _ residuals: consuming Residuals, _ gradients: inout Gradients)

  /// What it has learnt from the losses of earlier updates: a part of a training's state. Nil for
  /// one that learns nothing.
  var memory: Matrix? { get set }

  /// The losses of a slice that it is to learn from, row by row.
  func losses(_ residuals: borrowing Residuals) -> [TimestepLoss]

  /// Learns from an update: from the losses of all slices, in the order of the rows.
  mutating func learn(_ losses: [TimestepLoss])
}

extension Objective {
  package var together: Int { .max }
  package var memory: Matrix? {
    get { nil }
    set {}
  }
  package func losses(_ residuals: borrowing Residuals) -> [TimestepLoss] { [] }
  package func learn(_ losses: [TimestepLoss]) {}
}

/// Some rows of a batch, and the addresses of their random numbers.
package struct Slice: Sendable {
  /// Of images, `[rows, pixels]` in [0, 1]; of posteriors, `[rows, 2·dimensions]`.
  package let examples: Matrix
  /// The examples' numbers in their set, for what else is known of them.
  package var indices: [Int] = []
  /// Their classes, where they are known.
  package var labels: [Int]?
  /// Which rows of the batch these are.
  package let rows: Range<Int>
  /// Rows of the whole batch.
  package let batch: Int
  package let seed: UInt64
  package let step: Int
  /// False to evaluate: without dropout, noise on x̂0, what training withholds, and warm-ups, and
  /// by uniform timesteps.
  package var isTraining = true

  package func stream(_ purpose: RandomStream.Purpose) -> RandomStream {
    RandomStream(seed: seed, purpose: purpose, step: step)
  }
}

/// Stage two: the weighted squared error of the denoiser, a mean over pixels, given a fresh
/// z ~ q(z|x0) for every image; the VAE is frozen. If the network also learns the variance of the
/// reverse steps, a share of the variational bound is added, in which the mean is held (Nichol &
/// Dhariwal 2021, eq. 16).
///
/// Timesteps are drawn uniformly, or in training by their losses, which are then weighted so that the
/// expectation is the same.
package struct DiffusionObjective<Network: Denoiser>: Objective {
  let process: DiffusionProcess
  /// Frozen; nil for the unconditional baseline.
  let vae: VAE?
  /// Rate of the network's dropout.
  var dropout = 0.0
  /// Largest deviation of the noise on x̂0 in training.
  var conditionNoise = 0.0
  /// What training draws timesteps by; nil for all alike.
  var importance: TimestepImportance?

  /// The second one, of a network that learns the variance, is the bound less its prior term: the sum
  /// over all t, in nats a pixel.
  package var terms: [String] { process.variances == nil ? ["loss"] : ["loss", "vlb"] }
  package var together: Int { Network.together }

  /// λ, what the bound counts.
  static var boundWeight: Double { 0.001 }

  package func forward(
    _ network: Network, _ slice: Slice
  ) -> (terms: [Double], residuals: Residuals) {
    let (y0, known) = chain(of: slice)
    let pixels = y0.columns
    let (timesteps, factors) = timesteps(of: slice)
    let noise = slice.stream(.diffusionNoise).normal(rows: slice.rows, columns: pixels)
    let (y, target) = process.diffuse(y0, noise: noise, timesteps: timesteps)
    let (x, condition) = process.shown(y, known, withheld: withheld(of: slice))
    let (output, residuals) = network.forward(
      x, condition: condition, timesteps: timesteps,
      dropout: Dropout(
        rate: slice.isTraining ? dropout : 0, slice.stream(.dropout), rows: slice.rows))
    let scale = 1 / Double(slice.batch * pixels)
    let (prediction, v) = process.parts(of: output)
    var (losses, derivative) = squaredErrors(
      prediction, target,
      weights: zip(timesteps, factors).map { Float(scale * process.lossWeights[$0] * $1) })
    var bound: [Double] = []
    if let v, let variances = process.variances {
      // One draw of t stands for the sum over all.
      let weights = factors.map { scale * Double(process.schedule.steps) * $0 }
      let (divergences, byV) = chosenVarianceLosses(
        v, prediction, target, timesteps.map { process.choice(variances[$0], at: $0) },
        weights: weights.map { Float(Self.boundWeight * $0) })
      let terms = zip(weights, divergences).map { $0 * $1 }
      losses = zip(losses, terms).map { $0 + Self.boundWeight * $1 }
      bound = [terms.reduce(0, +)]
      // The network says 2v - 1.
      derivative = derivative.joined(byV.affine(0.5, 0))
    }
    var found = Residuals(network: residuals, derivative: derivative)
    if importance != nil {
      found.losses = timesteps.indices.map {
        TimestepLoss(
          timestep: timesteps[$0], loss: losses[$0] * Double(slice.batch) / factors[$0])
      }
    }
    return ([losses.reduce(0, +)] + bound, found)
  }

  /// The timestep of every row, and the factor of its loss.
  private func timesteps(of slice: Slice) -> (timesteps: [Int], factors: [Double]) {
    let (stream, steps) = (slice.stream(.timestep), process.schedule.steps)
    guard slice.isTraining, let importance, importance.isKnown else {
      let timesteps = stream.integers(rows: slice.rows, below: steps)
      return (timesteps, [Double](repeating: 1, count: timesteps.count))
    }
    // As fine as the stream's words are.
    let bound = Int(UInt32.max)
    let timesteps = stream.integers(rows: slice.rows, below: bound).map {
      importance.timestep(at: Double($0) / Double(bound))
    }
    return (timesteps, timesteps.map(importance.factor))
  }

  package var memory: Matrix? {
    get { importance.map { Matrix(2, $0.steps, $0.state) } }
    set { if let newValue { importance?.state = newValue.elements } }
  }

  package func losses(_ residuals: borrowing Residuals) -> [TimestepLoss] { residuals.losses }

  package mutating func learn(_ losses: [TimestepLoss]) { importance?.learn(losses) }

  /// y0 of every image, and what is known of it.
  func chain(of slice: Slice) -> (y0: Matrix, known: Known) {
    let z = vae.map { vae in
      vae.encode(slice.examples, labels: slice.labels).sample(
        slice.stream(.latentNoise).normal(rows: slice.rows, columns: vae.latent))
    }
    var known = Known(vae, z: z, labels: slice.labels)
    known.reconstruction = known.reconstruction.map { noised($0, slice) }
    let image = slice.examples.affine(2, -1)
    return (process.formulation.chain(fromImage: image, known.reconstruction), known)
  }

  /// What training withholds from the network.
  func withheld(of slice: Slice) -> [Conditioning.Parts]? {
    guard slice.isTraining else { return nil }
    return process.conditioning.withheld(slice.stream(.withholding), rows: slice.rows)
  }

  /// x̂0 of every image, in training with noise on it.
  private func noised(_ reconstruction: Matrix, _ slice: Slice) -> Matrix {
    guard slice.isTraining, conditionNoise > 0 else { return reconstruction }
    var x = reconstruction
    let deviations = slice.stream(.conditionLevel).uniform(rows: slice.rows, columns: 1)
      .affine(Float(conditionNoise), 0)
    x.scaleRows(
      [Float](repeating: 1, count: x.rows), adding: deviations.elements,
      slice.stream(.conditionNoise).normal(rows: slice.rows, columns: x.columns))
    return x
  }

  package struct Residuals: Sendable {
    let network: Network.Residuals
    let derivative: Matrix
    var losses: [TimestepLoss] = []
  }

  package func backward(
    _ network: Network, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) {
    network.backward(residuals.derivative, (consume residuals).network, &gradients)
  }
}

extension DiffusionObjective {
  package init(_ configuration: Configuration, vae: VAE?) throws {
    let diffusion = configuration.diffusion
    self.init(
      process: try DiffusionProcess(diffusion), vae: vae,
      dropout: configuration.denoiser.dropout,
      conditionNoise: diffusion.conditionNoise,
      importance: diffusion.timesteps == .importance
        ? TimestepImportance(steps: diffusion.steps) : nil)
  }
}

/// The prior: the squared error of a denoiser of latents, a mean over them, against the velocity
/// that is expected for a z ~ q(z|x) of every image.
struct LatentObjective: Objective {
  let schedule: NoiseSchedule

  let terms = ["loss"]

  func forward(
    _ network: MLPDenoiser, _ slice: Slice
  ) -> (terms: [Double], residuals: DiffusionObjective<MLPDenoiser>.Residuals) {
    let posterior = DiagonalGaussian(slice.examples)
    let timesteps = slice.stream(.timestep).integers(rows: slice.rows, below: schedule.steps)
    let levels = timesteps.map(schedule.level)
    let (y, velocity) = posterior.diffused(
      alphas: levels.map { Float($0.alpha) }, sigmas: levels.map { Float($0.sigma) },
      noise: slice.stream(.diffusionNoise).normal(
        rows: slice.rows, columns: posterior.dimensions))
    let (output, residuals) = network.forward(
      y, condition: .none, timesteps: timesteps, dropout: nil)
    let weight = 1 / Float(slice.batch * posterior.dimensions)
    let (loss, derivative) = squaredError(
      output, velocity, weights: [Float](repeating: weight, count: y.rows))
    return ([loss], .init(network: residuals, derivative: derivative))
  }

  func backward(
    _ network: MLPDenoiser, _ residuals: consuming DiffusionObjective<MLPDenoiser>.Residuals,
    _ gradients: inout Gradients
  ) {
    network.backward(residuals.derivative, (consume residuals).network, &gradients)
  }
}
