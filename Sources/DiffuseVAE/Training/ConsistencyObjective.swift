import Diffusion
import Neural

/// The consistency model: how far its answers for two neighbouring levels of one path are apart, a
/// mean over images (Song et al. 2023, algorithms 2 and 3).
///
/// The answer for the cleaner level is by the same weights, but is not differentiated (Song &
/// Dhariwal 2023, section 3.2).
struct ConsistencyObjective<Network: Denoiser>: Objective {
  /// What the second stage does to images.
  let stage: DiffusionObjective<Network>
  /// Whose step leads to the cleaner level; nil to take the noise that is known.
  let teacher: Network?
  /// From noise to data, the last is the boundary.
  let levels: [Level]
  private let function: ConsistencyFunction

  let terms = ["loss"]
  var together: Int { Network.together }

  /// - Parameter levels: 2 or more.
  init(_ stage: DiffusionObjective<Network>, teacher: Network?, levels count: Int) throws {
    self.stage = stage
    self.teacher = teacher?.prepared(training: false)
    levels = Array(try stage.process.schedule.levels(count: count).dropLast())
    function = ConsistencyFunction(boundary: stage.process.schedule.level(0))
  }

  struct Residuals: Sendable {
    let network: Network.Residuals
    let derivative: Matrix
  }

  func forward(_ network: Network, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
    let (y0, known) = stage.chain(of: slice)
    let places = slice.stream(.timestep).integers(rows: slice.rows, below: levels.count - 1)
    let (noisy, cleaner) = (places.map { levels[$0] }, places.map { levels[$0 + 1] })
    let noise = slice.stream(.diffusionNoise).normal(rows: slice.rows, columns: y0.columns)
    let process = stage.process
    func diffused(to levels: [Level]) -> Matrix {
      process.diffuse(y0, noise: noise, levels: levels)
    }
    func output(_ network: Network, _ y: Matrix, _ levels: [Level], dropout: Dropout? = nil)
      -> (output: Matrix, residuals: Network.Residuals)
    {
      let (x, condition) = process.shown(y, known)
      return network.forward(
        x, condition: condition, timesteps: levels.map(\.timestep), dropout: dropout)
    }
    let y = diffused(to: noisy)
    var next: Matrix
    if let teacher {
      let original = process.clipped(
        process.original(y, output(teacher, y, noisy).output, levels: noisy),
        known.reconstruction)
      next = y
      let steps = zip(noisy, cleaner).map { ddimCoefficients(from: $0, to: $1) }
      next.scaleRows(
        steps.map { Float($0.current) }, adding: steps.map { Float($0.original) }, original)
    } else {
      next = diffused(to: cleaner)
    }
    // Where the goal is at the boundary it is `next` over α, whatever the network says.
    let goal = answer(next, output(network, next, cleaner).output, cleaner).value
    let (raw, residuals) = output(
      network, y, noisy,
      dropout: Dropout(
        rate: slice.isTraining ? stage.dropout : 0, slice.stream(.dropout), rows: slice.rows))
    let (value, slopes) = answer(y, raw, noisy)
    var (loss, derivative) = pseudoHuber(
      value, goal, scale: 0.00054 * Double(y0.columns).squareRoot(),
      weight: 1 / Double(slice.batch))
    derivative.scaleRows(slopes, adding: [Float](repeating: 0, count: y.rows), y)
    return ([loss], Residuals(network: residuals, derivative: derivative))
  }

  /// f, and its derivative by the network's output, for every row.
  private func answer(
    _ y: Matrix, _ output: Matrix, _ levels: [Level]
  ) -> (value: Matrix, slopes: [Float]) {
    let coefficients = levels.map(function.coefficients)
    var value = stage.process.original(y, output, levels: levels)
    value.scaleRows(
      coefficients.map { Float($0.original) }, adding: coefficients.map { Float($0.sample) }, y)
    let slopes = zip(levels, coefficients).map {
      Float($1.original * stage.process.target.recovery(at: $0).output)
    }
    return (value, slopes)
  }

  func backward(
    _ network: Network, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) {
    network.backward(residuals.derivative, (consume residuals).network, &gradients)
  }
}
