import Diffusion
import Neural

extension ChosenVariance {
  /// - Parameter errorScale: what a squared error has to be multiplied by to be one of x0.
  init(_ variance: LearnedVariance, errorScale: Double) {
    self.init(
      constant: variance.constant, range: variance.range, known: variance.known,
      error: variance.error * errorScale)
  }
}

/// Everything of the second stage but the network: schedule, formulation and target.
struct DiffusionProcess: Sendable {
  let schedule: NoiseSchedule
  let formulation: Formulation
  let conditioning: Conditioning
  let target: PredictionTarget
  let clips: Bool

  /// What a squared error of the output weighs in the loss, for each timestep.
  let lossWeights: [Double]
  private let loss: LossWeight
  private let gamma: Double

  /// What the network chooses the variance from, of the step that leaves each t; nil if it does not.
  let variances: [LearnedVariance]?

  init(_ settings: DiffusionSettings) throws {
    let schedule = try NoiseSchedule(
      settings.schedule, steps: settings.steps, zeroTerminalSNR: settings.zeroSNR)
    self.schedule = schedule
    target = settings.target
    formulation = settings.formulation
    conditioning = Conditioning(settings)
    clips = settings.clip
    (loss, gamma) = (settings.loss, settings.gamma)
    lossWeights = loss.factors(of: settings.target, along: schedule, gamma: gamma)
    variances =
      settings.learnVariance
      ? (0..<schedule.steps).map { t in
        LearnedVariance(
          from: schedule.level(t), to: t > 0 ? schedule.level(t - 1) : .clean,
          after: t > 0 || schedule.steps < 2 ? nil : schedule.level(1))
      } : nil
  }

  /// The numbers of the loss of a variance that is chosen at a timestep, for errors of the output.
  func choice(_ variance: LearnedVariance, at timestep: Int) -> ChosenVariance {
    ChosenVariance(
      variance, errorScale: target.originalError(at: schedule.level(timestep)))
  }

  /// What a squared error of the output weighs in the loss at a time between two timesteps.
  func lossWeight(at time: Double) -> Double {
    loss.factor(of: target, along: schedule, at: time, gamma: gamma)
  }

  /// What the network is to say of `diffuse(y0, noise: noise, levels: levels)`.
  func goal(_ y0: Matrix, noise: Matrix, levels: [Level]) -> Matrix {
    let coefficients = levels.map(target.coefficients)
    var goal = y0
    goal.scaleRows(
      coefficients.map { Float($0.original) }, adding: coefficients.map { Float($0.noise) }, noise)
    return goal
  }

  /// `y = α y0 + σ ε`, every image at a level of its own (Ho et al. 2020, eq. 4).
  func diffuse(_ y0: Matrix, noise: Matrix, levels: [Level]) -> Matrix {
    var y = y0
    y.scaleRows(levels.map { Float($0.alpha) }, adding: levels.map { Float($0.sigma) }, noise)
    return y
  }

  /// The estimate of y0 in the network's output, every image at a level of its own.
  func original(_ y: Matrix, _ output: Matrix, levels: [Level]) -> Matrix {
    let recoveries = levels.map(target.recovery)
    var y0 = y
    y0.scaleRows(
      recoveries.map { Float($0.x) }, adding: recoveries.map { Float($0.output) }, output)
    return y0
  }

  /// What the network is shown of a noisy batch.
  ///
  /// - Parameter withheld: of each row; nil for nothing.
  func shown(
    _ y: Matrix, _ known: Known, withheld: [Conditioning.Parts]? = nil
  ) -> (x: Matrix, condition: Condition) {
    let (reconstruction, condition) = conditioning.shown(
      known, rows: y.rows, withheld: withheld)
    return (formulation.networkInput(y, reconstruction), condition)
  }

  /// What a network's output says: its target, and v of every pixel if it chooses the variance.
  func parts(of output: Matrix) -> (target: Matrix, v: Matrix?) {
    guard variances != nil else { return (output, nil) }
    let pixels = output.columns / 2
    return (
      output.columns(0..<pixels), output.columns(pixels..<2 * pixels).affine(0.5, 0.5)
    )
  }

  /// The network's estimate of y0 for a batch at one level.
  ///
  /// - Parameter guidance: w of classifier-free guidance.
  /// - Throws: ``UserError`` when it is not finite, which clipping would turn into white pixels.
  func denoise(
    _ y: Matrix, at level: Level, _ network: any Denoiser, _ known: Known, guidance: Double = 0
  ) throws -> Matrix {
    try estimate(y, at: level, network, known, guidance: guidance).y0
  }

  /// The same, and v of every pixel if the network chooses the variance: that of the condition,
  /// guided or not.
  func estimate(
    _ y: Matrix, at level: Level, _ network: any Denoiser, _ known: Known, guidance: Double = 0
  ) throws -> (y0: Matrix, v: Matrix?) {
    let recovery = target.recovery(at: level)
    func estimate(withholding withheld: Conditioning.Parts?) -> (y0: Matrix, v: Matrix?) {
      let (x, condition) = shown(
        y, known, withheld: withheld.map { [Conditioning.Parts](repeating: $0, count: y.rows) })
      let output = network.predict(x, condition: condition, timestep: level.timestep)
      let (prediction, v) = parts(of: output)
      return (Matrix.combine(recovery.x, y, recovery.output, prediction), v)
    }
    let (conditional, v) = estimate(withholding: nil)
    let y0 = Guidance.estimate(weight: guidance, conditional: conditional) {
      estimate(withholding: conditioning.withholdable).y0
    }
    guard y0.isFinite, v?.isFinite ?? true else {
      throw UserError("the denoiser's output is not finite at timestep \(Int(level.timestep))")
    }
    return (clipped(y0, known.reconstruction), v)
  }

  /// An estimate of y0 in the range of the data, if samplers are to clip.
  func clipped(_ y0: Matrix, _ reconstruction: Matrix?) -> Matrix {
    guard clips else { return y0 }
    // Data is in [-1, 1] as an image, whatever y is.
    let image = formulation.image(fromChain: y0, reconstruction).clamped(to: -1...1)
    return formulation.chain(fromImage: image, reconstruction)
  }
}
