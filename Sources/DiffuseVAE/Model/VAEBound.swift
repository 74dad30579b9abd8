import Neural
import RealModule

/// The two terms of the negative ELBO and their derivatives (Kingma & Welling 2013, eq. 10).
extension VAE {
  public struct Residuals: Sendable {
    /// q(z|x), a row for each image.
    let posterior: DiagonalGaussian
    let noise: Matrix
    let encoding: MLP.Residuals
    let decoding: MLP.Residuals
    let likelihood: Likelihoods
  }

  /// `-ln p(x|z)` of every row, in nats, and its derivatives.
  struct Likelihoods: Sendable {
    let losses: [Double]
    /// Of the sum, by the decoder's output.
    let byOutput: Matrix
    /// `‖x - output‖²/(2 σ²)` of every row (Gaussian).
    var errors: [Double] = []
  }

  /// - Parameters:
  ///   - pixels: `[batch, pixels]` in [0, 1].
  ///   - noise: `[batch, latent]`, draws of N(0, 1).
  func forward(_ pixels: Matrix, noise: Matrix) -> Residuals {
    let (encoding, encodingResiduals) = encoder.forward(pixels)
    let posterior = DiagonalGaussian(encoding)
    let (output, decodingResiduals) = decoder.forward(posterior.sample(noise))
    return Residuals(
      posterior: posterior, noise: noise, encoding: encodingResiduals,
      decoding: decodingResiduals, likelihood: likelihoods(output, pixels))
  }

  /// Adds the derivatives of `scale · Σ (-ln p(x|z) + beta · KL(q(z|x) ‖ N(0, I)))`.
  ///
  /// - Parameter freeBits: what a latent counts of the divergence that has less; nil to count what
  ///   there is.
  func backward(
    _ residuals: Residuals, scale: Double, beta: Double, freeBits: Float?,
    _ gradients: inout Gradients
  ) {
    var dOutput = residuals.likelihood.byOutput
    dOutput.scale(Float(scale))
    let dz = decoder.backward(dOutput, residuals.decoding, &gradients)
    let posterior = residuals.posterior
    var dEncoding = posterior.backward(dz, noise: residuals.noise)
    let factors = [Float](repeating: Float(scale * beta), count: posterior.count)
    dEncoding.add(posterior.divergenceDerivative(factors: factors, atLeast: freeBits))
    encoder.backwardFromData(dEncoding, residuals.encoding, &gradients)
    if let logVariance {
      let derivative = byLogVariance(residuals.likelihood, pixels: dOutput.columns)
      gradients[logVariance].add(Matrix(1, 1, [Float(scale * derivative)]))
    }
  }

  /// Data that can be reproduced exactly would drive the variance to nothing.
  private static let lowestLogVariance = -20.0

  /// s = ln σ², of every pixel (Gaussian).
  private var boundedLogVariance: Double? {
    logVariance.map { max(Self.lowestLogVariance, Double($0.value[0, 0])) }
  }

  private func likelihoods(_ output: Matrix, _ pixels: Matrix) -> Likelihoods {
    guard let s = boundedLogVariance else {
      return Likelihoods(
        losses: crossEntropies(logits: output, targets: pixels),
        byOutput: crossEntropyDerivative(logits: output, targets: pixels))
    }
    // D/2 (ln 2π + s) + e^-s/2 ‖output - x‖²
    let weights = [Float](repeating: Float(0.5 * Double.exp(-s)), count: output.rows)
    let (errors, derivative) = squaredErrors(output, pixels, weights: weights)
    let constant = 0.5 * Double(output.columns) * (Double.log(2 * .pi) + s)
    return Likelihoods(
      losses: errors.map { constant + $0 }, byOutput: derivative, errors: errors)
  }

  /// The derivative of the losses' sum by s.
  private func byLogVariance(_ likelihoods: Likelihoods, pixels: Int) -> Double {
    let count = Double(likelihoods.errors.count * pixels)
    let derivative = 0.5 * count - likelihoods.errors.reduce(0, +)
    return boundedLogVariance == Self.lowestLogVariance ? min(0, derivative) : derivative
  }
}
