import Diffusion
import Neural

/// The consistency model: how far what it says of a noisy image is from where the image's path ends, a
/// mean over images.
///
/// With a teacher that is where the teacher's deterministic DDIM leads (Luhman & Luhman 2021,
/// "Knowledge Distillation in Iterative Generative Models for Improved Sampling Speed", for pure noise;
/// here from every level): the consistency function of Song et al. 2023 (section 3) of these steps, and
/// not the model's own answer one step on (algorithm 2), with which errors add up from step to step.
///
/// Without one, paths are known by their noise only, and the goal is the answer for the same noise one
/// level on (algorithm 3): by the same weights, but not differentiated (Song & Dhariwal 2023, section
/// 3.2). At the clean end it is the image.
struct ConsistencyObjective<Network: Denoiser>: Objective {
  /// What the second stage does to images.
  let stage: DiffusionObjective<Network>
  /// Whose paths are learnt; nil to take the noise that is known.
  let teacher: Network?
  /// From noise to data, the last is clean.
  let levels: [Level]

  let terms = ["loss"]
  var together: Int { Network.together }

  /// - Parameter levels: with noise, 1 or more.
  init(_ stage: DiffusionObjective<Network>, teacher: Network?, levels count: Int) throws {
    self.stage = stage
    self.teacher = teacher?.prepared(training: false)
    levels = try stage.process.schedule.levels(count: count)
  }

  struct Residuals: Sendable {
    let network: Network.Residuals
    let derivative: Matrix
  }

  func forward(_ network: Network, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
    let (y0, known) = stage.chain(of: slice)
    let process = stage.process
    let places = slice.stream(.timestep).integers(rows: slice.rows, below: levels.count - 1)
    let noisy = places.map { levels[$0] }
    let noise = slice.stream(.diffusionNoise).normal(rows: slice.rows, columns: y0.columns)
    let y = process.diffuse(y0, noise: noise, levels: noisy)
    let goal =
      if let teacher {
        pathEnds(from: y, at: places, teacher, known)
      } else {
        nextAnswers(y0, noise, at: places, network, known)
      }
    let (x, condition) = process.shown(y, known)
    let (output, residuals) = network.forward(
      x, condition: condition, timesteps: noisy.map(\.timestep),
      dropout: Dropout(
        rate: slice.isTraining ? stage.dropout : 0, slice.stream(.dropout), rows: slice.rows))
    var (loss, derivative) = pseudoHuber(
      process.original(y, output, levels: noisy), goal,
      scale: 0.00054 * Double(y0.columns).squareRoot(), weight: 1 / Double(slice.batch))
    derivative.scaleRows(noisy.map { Float(process.target.recovery(at: $0).output) })
    return ([loss], Residuals(network: residuals, derivative: derivative))
  }

  /// Where the teacher's path leads from each row, at the level of its place.
  private func pathEnds(
    from start: Matrix, at places: [Int], _ teacher: Network, _ known: Known
  ) -> Matrix {
    var y = start
    for (step, (level, next)) in zip(levels, levels.dropFirst()).enumerated() {
      let rows = places.indices.filter { places[$0] <= step }
      guard !rows.isEmpty else { continue }
      let (part, known) = (y.rows(at: rows), known.rows(rows))
      let (x, condition) = stage.process.shown(part, known)
      let recovery = stage.process.target.recovery(at: level)
      let original = Matrix.combine(
        recovery.x, part, recovery.output,
        teacher.predict(x, condition: condition, timestep: level.timestep))
      let coefficients = ddimCoefficients(from: level, to: next)
      let moved = Matrix.combine(
        coefficients.current, part,
        coefficients.original, stage.process.clipped(original, known.reconstruction))
      for (i, row) in rows.enumerated() { y.replaceRow(row, by: moved, i) }
    }
    return y
  }

  /// What the network says one level on of images with the same noise; at the clean end, the images.
  ///
  /// Not clipped: what is learnt of clipped answers lies within the data, on average, and farther in at
  /// every level.
  private func nextAnswers(
    _ y0: Matrix, _ noise: Matrix, at places: [Int], _ network: Network, _ known: Known
  ) -> Matrix {
    let noisy = places.indices.filter { levels[places[$0] + 1].variance > 0 }
    guard !noisy.isEmpty else { return y0 }
    let next = noisy.map { levels[places[$0] + 1] }
    let y = stage.process.diffuse(y0.rows(at: noisy), noise: noise.rows(at: noisy), levels: next)
    let (x, condition) = stage.process.shown(y, known.rows(noisy))
    let (output, _) = network.forward(
      x, condition: condition, timesteps: next.map(\.timestep), dropout: nil)
    let answers = stage.process.original(y, output, levels: next)
    var goal = y0
    for (i, row) in noisy.enumerated() { goal.replaceRow(row, by: answers, i) }
    return goal
  }

  func backward(
    _ network: Network, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) {
    network.backward(residuals.derivative, (consume residuals).network, &gradients)
  }
}
