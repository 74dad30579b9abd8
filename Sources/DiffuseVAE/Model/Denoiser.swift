import Neural

/// The network of the second stage: from a noisy image, its timestep and, if it sees one, the
/// VAE's reconstruction, to the prediction target. Images are `[batch, pixels]`, about [-1, 1].
public protocol Denoiser: Parameterized {
  associatedtype Residuals: Sendable

  /// Images that are best sent through the network together in training.
  static var together: Int { get }

  /// - Parameters:
  ///   - x: `[batch, pixels]`
  ///   - condition: `[batch, pixels]`; nil exactly when the network was made without one.
  ///   - timesteps: one for each image.
  ///   - dropout: of the blocks' hidden layers, in training.
  func forward(
    _ x: Matrix, condition: Matrix?, timesteps: [Int], dropout: Dropout?
  ) -> (output: Matrix, residuals: Residuals)

  /// The output of ``forward(_:condition:timesteps:dropout:)`` alone, without dropout.
  func predict(_ x: Matrix, condition: Matrix?, timesteps: [Int]) -> Matrix

  /// Adds the derivatives of the loss, whose derivative by the output is `dOutput`. Inputs are
  /// data: no derivative is computed for them.
  func backward(_ dOutput: Matrix, _ residuals: Residuals, _ gradients: inout Gradients)
}

extension Denoiser {
  public static var together: Int { .max }

  public func predict(_ x: Matrix, condition: Matrix?, timesteps: [Int]) -> Matrix {
    forward(x, condition: condition, timesteps: timesteps, dropout: nil).output
  }
}

extension DenoiserSettings {
  /// The network that these settings describe, with its first weights.
  ///
  /// - Parameters:
  ///   - shape: of the images; one that ``check(shape:)`` lets pass.
  ///   - conditional: whether it also sees x̂0.
  ///   - timesteps: T.
  func network(
    shape: ImageShape, conditional: Bool, timesteps: Int, seed: UInt64
  ) -> any Denoiser {
    switch kind {
    case .mlp:
      MLPDenoiser(
        self, pixels: shape.count, conditional: conditional, timesteps: timesteps, seed: seed)
    case .unet:
      UNetDenoiser(
        self, shape: shape, conditional: conditional, timesteps: timesteps, seed: seed)
    }
  }
}
