import Neural
import RealModule

/// What the objectives of stage one are made of: `ln p(x|z)` and the divergence of q(z|x) from p(z)
/// for one or several draws of z, and their derivatives (Kingma & Welling 2013, §2.4; Burda et al.
/// 2016, §3).
///
/// Each draw is a row of its own: those of an image follow one another.
extension VAE {
  public struct Residuals: Sendable {
    /// Draws of z for each image.
    let draws: Int
    let chain: LatentChain
    let encoding: MLP.Residuals
    let decoding: MLP.Residuals
    let likelihood: Likelihoods
    /// Of the decoder, if it was to be kept.
    let output: Matrix?
  }

  /// `-ln p(x|z)` of every draw, in nats, and its derivatives.
  struct Likelihoods: Sendable {
    let losses: [Double]
    /// Of the sum, by the decoder's output.
    let byOutput: Matrix
    /// `‖x - output‖²/(2 σ²)` of every draw (Gaussian).
    var errors: [Double] = []
  }

  /// - Parameters:
  ///   - pixels: `[batch, pixels]` in [0, 1].
  ///   - labels: the images' classes, of use where the VAE is told them.
  ///   - noise: `[batch·draws, noiseColumns]`, draws of N(0, 1).
  ///   - keepsOutput: whether ``Residuals/output`` is wanted.
  func forward(
    _ pixels: Matrix, labels: [Int]? = nil, noise: Matrix, keepsOutput: Bool = false
  ) -> Residuals {
    let draws = noise.rows / max(pixels.rows, 1)
    let (encoding, encodingResiduals) = encoder.forward(labelled(pixels, labels))
    let chain = chain(from: DiagonalGaussian(encoding).repeated(draws), noise: noise)
    let ofDraws = labels.map { $0.flatMap { [Int](repeating: $0, count: draws) } }
    let (output, decodingResiduals) = decoder.forward(labelled(chain.latents[0], ofDraws))
    return Residuals(
      draws: draws, chain: chain, encoding: encodingResiduals, decoding: decodingResiduals,
      likelihood: likelihoods(output, pixels), output: keepsOutput ? output : nil)
  }

  /// Adds the derivatives of `scale · Σ_r weights[r] · (-ln p(x|z) + divergence)`, which are those of
  /// the loss; for each image the weights sum to 1.
  ///
  /// - Parameter other: what else the loss's derivative by the decoder's output consists of.
  func backward(
    _ residuals: Residuals, scale: Double, weights: [Double],
    _ divergence: LatentChain.Divergence, plus other: Matrix? = nil,
    _ gradients: inout Gradients
  ) {
    var dOutput = residuals.likelihood.byOutput
    dOutput.scaleRows(weights.map { Float(scale * $0) })
    if let other { dOutput.add(other) }
    var dz = decoder.backward(dOutput, residuals.decoding, &gradients)
    if classes > 0 { dz = dz.columns(0..<latent) }
    let dEncoding = backward(
      residuals.chain, dz1: dz, weights: weights.map { scale * $0 }, divergence, &gradients)
    encoder.backwardFromData(
      dEncoding.addingRows(residuals.draws), residuals.encoding, &gradients)
    if let logVariance {
      let derivative = byLogVariance(
        residuals.likelihood, weights, images: weights.count / max(residuals.draws, 1),
        pixels: dOutput.columns)
      gradients[logVariance].add(Matrix(1, 1, [Float(scale * derivative)]))
    }
  }

  /// Data that can be reproduced exactly would drive the variance to nothing.
  private static let lowestLogVariance = -20.0

  /// s = ln σ², of every pixel (Gaussian).
  private var boundedLogVariance: Double? {
    logVariance.map { max(Self.lowestLogVariance, Double($0.value[0, 0])) }
  }

  /// `-ln p(x|z)` of every row of the decoder's output, in nats.
  func negativeLogLikelihoods(_ output: Matrix, _ pixels: Matrix) -> [Double] {
    logVariance == nil
      ? crossEntropies(logits: output, targets: pixels) : likelihoods(output, pixels).losses
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

  /// The derivative of `Σ_r weights[r] · losses[r]` by s.
  private func byLogVariance(
    _ likelihoods: Likelihoods, _ weights: [Double], images: Int, pixels: Int
  ) -> Double {
    let error = zip(weights, likelihoods.errors).reduce(0) { $0 + $1.0 * $1.1 }
    let derivative = 0.5 * Double(images * pixels) - error
    return boundedLogVariance == Self.lowestLogVariance ? min(0, derivative) : derivative
  }
}
