import Neural
import RealModule

/// Variational autoencoder of MLPs (Kingma & Welling 2013). Pixels are in [0, 1].
public struct VAE: Parameterized {
  public typealias Likelihood = VAESettings.Likelihood

  var encoder: MLP  // pixels → [mean | ln variance] of z
  var decoder: MLP  // z → logits (Bernoulli) or means (Gaussian) of the pixels
  var logVariance: Parameter?  // [1, 1], ln of the variance of every pixel (Gaussian)
  let likelihood: Likelihood

  /// - Parameter pixels: numbers in one image.
  public init(_ settings: VAESettings, pixels: Int, seed: UInt64) {
    var source = ParameterSource(seed: seed)
    let hidden = settings.hidden
    encoder = MLP([pixels] + hidden + [2 * settings.latent], &source)
    decoder = MLP([settings.latent] + hidden.reversed() + [pixels], &source)
    likelihood = settings.likelihood
    // Starts at a standard deviation of 0.22, about that of an image's pixels.
    logVariance = likelihood == .gaussian ? source.constant(1, 1, -3) : nil
  }

  /// Dimensions of z.
  public var latent: Int { decoder.inputs }

  /// q(z|x) for every image of `[batch, pixels]`.
  public func encode(_ pixels: Matrix) -> DiagonalGaussian { DiagonalGaussian(encoder(pixels)) }

  /// The mean image for every row of `[batch, latent]`, pixels in [0, 1] (Bernoulli) or near it
  /// (Gaussian).
  public func decode(_ z: Matrix) -> Matrix {
    let output = decoder(z)
    return likelihood == .bernoulli ? output.sigmoid() : output
  }

  /// x̂0 in the range of the diffusion's data, [-1, 1].
  public func reconstruction(_ z: Matrix) -> Matrix { decode(z).affine(2, -1) }

  public mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try encoder.visit(path + ".encoder", body)
    try decoder.visit(path + ".decoder", body)
    if var parameter = logVariance {
      try body(path + ".log_variance", &parameter)
      logVariance = parameter
    }
  }
}

// MARK: - The negative ELBO

extension VAE {
  public struct Residuals: Sendable {
    let posterior: DiagonalGaussian
    let noise: Matrix
    let encoding: MLP.Residuals
    let decoding: MLP.Residuals
    let outputDerivative: Matrix
    let logVarianceDerivative: Double
  }

  /// The two terms of the negative ELBO with one draw of z, in nats, summed over the batch:
  /// `-ln p(x|z)` and `KL(q(z|x) ‖ N(0, I))` (Kingma & Welling 2013, eq. 10).
  ///
  /// - Parameters:
  ///   - pixels: `[batch, pixels]` in [0, 1].
  ///   - noise: `[batch, latent]`, draws of N(0, 1).
  func negativeELBO(
    _ pixels: Matrix, noise: Matrix
  ) -> (reconstruction: Double, divergence: Double, residuals: Residuals) {
    let (encoding, encodingResiduals) = encoder.forward(pixels)
    let posterior = DiagonalGaussian(encoding)
    let (output, decodingResiduals) = decoder.forward(posterior.sample(noise))
    let (reconstruction, derivative, byLogVariance) = negativeLogLikelihood(output, pixels)
    return (
      reconstruction, posterior.divergenceFromNormal().loss,
      Residuals(
        posterior: posterior, noise: noise, encoding: encodingResiduals,
        decoding: decodingResiduals, outputDerivative: derivative,
        logVarianceDerivative: byLogVariance)
    )
  }

  /// Adds the derivatives of `scale · (reconstruction + beta · divergence)`.
  func backward(
    _ residuals: Residuals, scale: Double, beta: Double, _ gradients: inout Gradients
  ) {
    var dOutput = residuals.outputDerivative
    dOutput.scale(Float(scale))
    let dz = decoder.backward(dOutput, residuals.decoding, &gradients)
    var dEncoding = residuals.posterior.backward(dz, noise: residuals.noise)
    dEncoding.add(
      residuals.posterior.divergenceFromNormal(factor: Float(scale * beta)).derivative)
    encoder.backwardFromData(dEncoding, residuals.encoding, &gradients)
    if let logVariance {
      gradients[logVariance].add(Matrix(1, 1, [Float(scale * residuals.logVarianceDerivative)]))
    }
  }

  /// Data that can be reproduced exactly would drive the variance to nothing.
  private static let lowestLogVariance = -20.0

  /// `-ln p(x|z)` and its derivatives by the decoder's output and by the logarithm of the variance.
  private func negativeLogLikelihood(
    _ output: Matrix, _ pixels: Matrix
  ) -> (loss: Double, byOutput: Matrix, byLogVariance: Double) {
    guard let logVariance else {
      let (loss, derivative) = crossEntropy(logits: output, targets: pixels)
      return (loss, derivative, 0)
    }
    // N/2 (ln 2π + s) + e^-s/2 Σ (output - x)²  with  s = ln variance
    let s = max(Self.lowestLogVariance, Double(logVariance.value[0, 0]))
    let count = Double(pixels.elements.count)
    let weights = [Float](repeating: Float(0.5 * Double.exp(-s)), count: pixels.rows)
    let (error, derivative) = squaredError(output, pixels, weights: weights)
    let loss = 0.5 * count * (Double.log(2 * .pi) + s) + error
    let byLogVariance = 0.5 * count - error
    return (loss, derivative, s == Self.lowestLogVariance ? min(0, byLogVariance) : byLogVariance)
  }
}
