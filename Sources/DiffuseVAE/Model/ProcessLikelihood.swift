import Diffusion
import Neural

/// What likelihoods ask of the second stage's network.
extension DiffusionProcess {
  /// The network's estimates of y0 for samples at levels of their own, timesteps all; clipped if the
  /// process is.
  ///
  /// - Throws: ``UserError`` when they are not finite.
  func denoise(
    _ y: Matrix, at levels: [Level], _ network: any Denoiser, _ reconstruction: Matrix?
  ) throws -> Matrix {
    let (output, _) = network.forward(
      formulation.networkInput(y, reconstruction), condition: conditional ? reconstruction : nil,
      timesteps: levels.map { Int($0.timestep) }, dropout: nil)
    let recoveries = levels.map(target.recovery)
    var y0 = y
    y0.scaleRows(
      recoveries.map { Float($0.x) }, adding: recoveries.map { Float($0.output) }, output)
    try Self.check(y0)
    guard clips else { return y0 }
    let image = formulation.image(fromChain: y0, reconstruction).clamped(to: -1...1)
    return formulation.chain(fromImage: image, reconstruction)
  }

  /// The network's estimate of y0 for a batch at one level, never clipped, and `vᵀ ∂y0/∂y`, image by
  /// image.
  ///
  /// - Throws: ``UserError`` when either is not finite.
  func vectorJacobianProduct(
    _ v: Matrix, at y: Matrix, _ level: Level, _ network: any Denoiser, _ reconstruction: Matrix?
  ) throws -> (y0: Matrix, product: Matrix) {
    let (output, product) = network.vectorJacobianProduct(
      v, at: formulation.networkInput(y, reconstruction),
      condition: conditional ? reconstruction : nil, timestep: level.timestep)
    let recovery = target.recovery(at: level)
    let y0 = Matrix.combine(recovery.x, y, recovery.output, output)
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
