import Neural

/// The network of the second stage: from a noisy image, its timestep and, if it sees any, the
/// VAE's reconstruction and other conditions, to the prediction target. Images are
/// `[batch, pixels]`, about [-1, 1].
///
/// Where it learns the variance of the reverse steps, too, the output is `[batch, 2·pixels]`: the
/// target of all pixels, and after it 2v - 1 of all, v being that of `LearnedVariance`.
public protocol Denoiser: Parameterized {
  associatedtype Residuals: Sendable

  /// Images that are best sent through the network together in training.
  static var together: Int { get }

  /// Images that are best sent through the network together in sampling.
  static var drawnTogether: Int { get }

  /// - Parameters:
  ///   - x: `[batch, pixels]`
  ///   - timesteps: one for each image; they may lie between two.
  ///   - dropout: of the blocks' hidden layers, in training.
  func forward(
    _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
  ) -> (output: Matrix, residuals: Residuals)

  /// The output of ``forward(_:condition:timesteps:dropout:)`` alone, without dropout, of images
  /// that are all at one time. Some samplers ask between two timesteps.
  func predict(_ x: Matrix, condition: Condition, timestep: Double) -> Matrix

  /// The output of ``predict(_:condition:timestep:)`` and `vᵀ ∂output/∂x`, image by image.
  ///
  /// - Parameter v: as the output.
  func vectorJacobianProduct(
    _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
  ) -> (output: Matrix, product: Matrix)

  /// Adds the derivatives of the loss, whose derivative by the output is `dOutput`. Inputs are
  /// data: no derivative is computed for them.
  func backward(_ dOutput: Matrix, _ residuals: consuming Residuals, _ gradients: inout Gradients)
}

extension Denoiser {
  public static var together: Int { .max }
  public static var drawnTogether: Int { 64 }

  public func predict(_ x: Matrix, condition: Condition, timestep: Double) -> Matrix {
    let timesteps = [Double](repeating: timestep, count: x.rows)
    return forward(x, condition: condition, timesteps: timesteps, dropout: nil).output
  }
}

/// A denoiser that a configuration can ask for.
package protocol ConfiguredDenoiser: Denoiser {
  /// The second stage's network with its first weights.
  ///
  /// - Parameter shape: of the images; one that ``DenoiserSettings/check(shape:)`` lets pass.
  init(_ configuration: Configuration, shape: ImageShape)
}

/// One that has weights.
protocol LearnedDenoiser: ConfiguredDenoiser {
  /// - Parameters:
  ///   - conditional: whether it also sees x̂0.
  ///   - conditionFeatures: numbers that it sees with the time.
  ///   - timesteps: T.
  ///   - learnsVariance: whether the output has a second half.
  init(
    _ settings: DenoiserSettings, shape: ImageShape, conditional: Bool, conditionFeatures: Int,
    timesteps: Int, seed: UInt64, learnsVariance: Bool)

  /// ``backward(_:_:_:)``, and the derivatives by the noisy images and by the second image, if the
  /// network sees one.
  func backwardToInputs(
    _ dOutput: Matrix, _ residuals: consuming Residuals, _ gradients: inout Gradients
  ) -> (dx: Matrix, dImage: Matrix?)
}

extension LearnedDenoiser {
  public func vectorJacobianProduct(
    _ v: Matrix, at x: Matrix, condition: Condition, timestep: Double
  ) -> (output: Matrix, product: Matrix) {
    let (output, residuals) = forward(
      x, condition: condition, timesteps: [Double](repeating: timestep, count: x.rows), dropout: nil
    )
    var unused = Gradients(of: self)
    return (output, backwardToInputs(v, residuals, &unused).dx)
  }

  package init(_ configuration: Configuration, shape: ImageShape) {
    self.init(
      configuration.denoiser, shape: shape, conditional: configuration.diffusion.condition,
      conditionFeatures: configuration.conditionFeatures,
      timesteps: configuration.diffusion.steps,
      seed: Stage.denoiser.seed(configuration.training.seed),
      learnsVariance: configuration.diffusion.learnVariance)
  }
}

extension DenoiserSettings.Kind {
  package var network: any ConfiguredDenoiser.Type {
    switch self {
    case .mlp: MLPDenoiser.self
    case .unet: UNetDenoiser.self
    case .exact: ExactDenoiser.self
    }
  }
}
