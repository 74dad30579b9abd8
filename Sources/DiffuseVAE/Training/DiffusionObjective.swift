import Diffusion
import Neural

/// Stage two: the weighted squared error of the denoiser, a mean over pixels, given a fresh
/// z ~ q(z|x0) for every image; the VAE is frozen. If the network also learns the variance of the
/// reverse steps, a share of the variational bound is added, in which the mean is held (Nichol &
/// Dhariwal 2021, eq. 16).
///
/// Evaluation is by uniform timesteps; ``times`` says how training draws them.
package struct DiffusionObjective<Network: Denoiser>: Objective {
  let process: DiffusionProcess
  /// Frozen; nil for the unconditional baseline.
  let vae: VAE?
  /// Rate of the network's dropout.
  var dropout = 0.0
  /// Largest deviation of the noise on x̂0 in training.
  var conditionNoise = 0.0
  var times = Times.uniform

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
    return forward(network, slice, y0, known)
  }

  /// - Parameters: `y0` and `known` as ``chain(of:)`` has them.
  func forward(
    _ network: Network, _ slice: Slice, _ y0: Matrix, _ known: Known
  ) -> (terms: [Double], residuals: Residuals) {
    let pixels = y0.columns
    let draws = draws(of: slice)
    let levels = draws.map(\.level)
    let noise = slice.stream(.diffusionNoise).normal(rows: slice.rows, columns: pixels)
    let y = process.diffuse(y0, noise: noise, levels: levels)
    let target = process.goal(y0, noise: noise, levels: levels)
    let withheld = withheld(of: slice)
    let (x, condition) = process.shown(y, known, withheld: withheld)
    let (output, residuals) = network.forward(
      x, condition: condition, timesteps: levels.map(\.timestep),
      dropout: Dropout(
        rate: slice.isTraining ? dropout : 0, slice.stream(.dropout), rows: slice.rows))
    let scale = 1 / Double(slice.batch * pixels)
    let (prediction, v) = process.parts(of: output)
    var (losses, derivative) = squaredErrors(
      prediction, target,
      weights: draws.map { Float(scale * $0.weight * $0.factor) })
    var bound: [Double] = []
    if let v, let variances = process.variances {
      let (terms, byV) = boundTerms(v, prediction, target, draws, variances, scale: scale)
      losses = zip(losses, terms).map { $0 + Self.boundWeight * $1 }
      bound = [terms.reduce(0, +)]
      derivative = derivative.joined(byV)
    }
    var found = Residuals(network: residuals, derivative: derivative, withheld: withheld)
    if case .importance = times {
      found.losses = zip(draws, losses).map { draw, loss in
        TimestepLoss(timestep: draw.timestep, loss: loss * Double(slice.batch) / draw.factor)
      }
    }
    return ([losses.reduce(0, +)] + bound, found)
  }

  /// Every row's share of the bound, and the derivative of the loss by what the network says of v:
  /// 2v - 1.
  private func boundTerms(
    _ v: Matrix, _ prediction: Matrix, _ target: Matrix, _ draws: [Draw],
    _ variances: [LearnedVariance], scale: Double
  ) -> (terms: [Double], derivative: Matrix) {
    // One draw of t stands for the sum over all.
    let weights = draws.map { scale * Double(process.schedule.steps) * $0.factor }
    let (divergences, byV) = chosenVarianceLosses(
      v, prediction, target,
      draws.map { process.choice(variances[$0.timestep], at: $0.timestep) },
      weights: weights.map { Float(Self.boundWeight * $0) })
    return (zip(weights, divergences).map { $0 * $1 }, byV.affine(0.5, 0))
  }

  /// At which level a row is looked at.
  private struct Draw {
    let level: Level
    /// What a squared error of the output weighs there.
    let weight: Double
    /// Of the loss, where not all levels are drawn alike.
    var factor = 1.0

    /// The level's, unless time is continuous.
    var timestep: Int { Int(level.timestep) }
  }

  private func draws(of slice: Slice) -> [Draw] {
    let (stream, steps) = (slice.stream(.timestep), process.schedule.steps)
    func draw(_ timestep: Int, factor: Double = 1) -> Draw {
      Draw(
        level: process.schedule.level(timestep), weight: process.lossWeights[timestep],
        factor: factor)
    }
    // As fine as the stream's words are.
    let bound = Int(UInt32.max)
    func places(_ rows: some Collection<Int>) -> [Double] {
      stream.integers(rows: rows, below: bound).map { Double($0) / Double(bound) }
    }
    switch slice.isTraining ? times : .uniform {
    case .continuous:
      return TimestepSampling.spread(
        slice.rows, of: slice.batch, shift: places(0..<1)[0], steps: steps
      ).map {
        Draw(level: process.schedule.level(timestep: $0), weight: process.lossWeight(at: $0))
      }
    case .importance(let importance) where importance.isKnown:
      return places(slice.rows).map(importance.timestep).map {
        draw($0, factor: importance.factor(of: $0))
      }
    case .uniform, .importance:
      return stream.integers(rows: slice.rows, below: steps).map { draw($0) }
    }
  }

  package var memory: Matrix? {
    get { times.importance.map { Matrix(2, $0.steps, $0.state) } }
    set {
      guard let newValue, var importance = times.importance else { return }
      importance.state = newValue.elements
      times = .importance(importance)
    }
  }

  package func losses(_ residuals: borrowing Residuals) -> [TimestepLoss] { residuals.losses }

  package mutating func learn(_ losses: [TimestepLoss]) {
    guard var importance = times.importance else { return }
    importance.learn(losses)
    times = .importance(importance)
  }

  /// y0 of every image, and what is known of it.
  func chain(of slice: Slice) -> (y0: Matrix, known: Known) {
    let z = vae.map { vae in
      vae.encode(slice.examples, labels: slice.labels).sample(
        slice.stream(.latentNoise).normal(rows: slice.rows, columns: vae.latent))
    }
    return chain(of: slice, Known(vae, z: z, labels: slice.labels))
  }

  /// - Parameter known: without noise.
  func chain(of slice: Slice, _ known: Known) -> (y0: Matrix, known: Known) {
    var known = known
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
    /// What the network was not shown of each row; nil for nothing.
    var withheld: [Conditioning.Parts]?
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
      times: .init(diffusion))
  }
}

extension DiffusionObjective {
  /// How training draws the times that it looks at: a ``TimestepSampling`` with what it knows.
  enum Times {
    case uniform
    case importance(TimestepImportance)
    case continuous

    init(_ settings: DiffusionSettings) {
      self =
        switch settings.timesteps {
        case .uniform: .uniform
        case .importance: .importance(TimestepImportance(steps: settings.steps))
        case .continuous: .continuous
        }
    }

    var importance: TimestepImportance? {
      if case .importance(let importance) = self { importance } else { nil }
    }
  }
}
