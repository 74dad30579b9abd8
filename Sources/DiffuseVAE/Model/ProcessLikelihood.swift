import Diffusion
import Neural

/// What likelihoods ask of the second stage's network.
extension DiffusionProcess {
  /// The network's estimates of y0 for samples at levels of their own, timesteps all, clipped if the
  /// process is; and v of every pixel if the network chooses the variance.
  ///
  /// - Throws: ``UserError`` when they are not finite.
  func estimate(
    _ y: Matrix, at levels: [Level], _ network: any Denoiser, _ known: Known
  ) throws -> (y0: Matrix, v: Matrix?) {
    let (x, condition) = shown(y, known)
    let (output, _) = network.forward(
      x, condition: condition, timesteps: levels.map(\.timestep), dropout: nil)
    let (prediction, v) = parts(of: output)
    let y0 = original(y, prediction, levels: levels)
    try Self.check(y0)
    if let v { try Self.check(v) }
    return (clipped(y0, known.reconstruction), v)
  }

  /// The network's estimate of y0 for a batch at one level, never clipped, and `vᵀ ∂y0/∂y`, image by
  /// image.
  ///
  /// - Throws: ``UserError`` when either is not finite.
  func vectorJacobianProduct(
    _ v: Matrix, at y: Matrix, _ level: Level, _ network: any Denoiser, _ known: Known
  ) throws -> (y0: Matrix, product: Matrix) {
    let (x, condition) = shown(y, known)
    // Of what the output has besides, nothing is asked.
    let direction = variances == nil ? v : v.joined(Matrix(v.rows, v.columns))
    let (output, product) = network.vectorJacobianProduct(
      direction, at: x, condition: condition, timestep: level.timestep)
    let recovery = target.recovery(at: level)
    let y0 = Matrix.combine(recovery.x, y, recovery.output, parts(of: output).target)
    let byY = Matrix.combine(recovery.x, v, recovery.output, product)
    try Self.check(y0)
    try Self.check(byY)
    return (y0, byY)
  }

  private static func check(_ found: Matrix) throws {
    guard found.isFinite else {
      throw UserError("the denoiser's output, or its derivative, is not finite")
    }
  }
}
