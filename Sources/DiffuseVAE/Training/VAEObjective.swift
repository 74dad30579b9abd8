import Neural
import RealModule

/// Stage one, in nats an image: the negative ELBO, the divergence weighed by β, or the negative
/// importance-weighted bound (Burda et al. 2016, eq. 8),
///
///     L_k = E ln 1/k Σ w_i  with  w_i = p(x|z_i) (p(z_i) / q(z_i|x))^β
///
/// whose derivative is that of `Σ w_i/Σw · ln w_i`, the weights `w_i/Σw` being held (eq. 14). There β is
/// 1: only then is it a bound.
package struct VAEObjective: Objective {
  package let terms = ["loss", "reconstruction", "divergence"]
  let settings: VAESettings

  package init(_ settings: VAESettings) { self.settings = settings }

  /// Draws are rows: few images with many of them take the memory of many images.
  package var together: Int { settings.samples == 1 ? .max : max(1, 1024 / settings.samples) }

  package func forward(_ vae: VAE, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
    forward(vae, slice, keepsOutput: false)
  }

  func forward(
    _ vae: VAE, _ slice: Slice, keepsOutput: Bool
  ) -> (terms: [Double], residuals: Residuals) {
    let noise = slice.stream(.latentNoise).normal(
      rows: slice.rows, columns: settings.samples * vae.noiseColumns)
    return forward(
      vae, settings.binarise.images(of: slice), labels: slice.labels,
      noise: noise.reshaped(columns: vae.noiseColumns), batch: slice.batch,
      beta: slice.isTraining ? settings.beta(at: slice.step) : settings.beta,
      keepsOutput: keepsOutput)
  }

  /// - Parameters:
  ///   - pixels: some rows of a batch, `[rows, pixels]`.
  ///   - labels: the images' classes, of use where the VAE is told them.
  ///   - noise: `[rows·samples, noiseColumns]`, draws of N(0, 1), those of an image one after the other.
  ///   - batch: rows of the whole batch.
  func forward(
    _ vae: VAE, _ pixels: Matrix, labels: [Int]? = nil, noise: Matrix, batch: Int, beta: Double,
    keepsOutput: Bool = false
  ) -> (terms: [Double], residuals: Residuals) {
    let residuals = vae.forward(pixels, labels: labels, noise: noise, keepsOutput: keepsOutput)
    return settings.isImportanceWeighted
      ? importanceWeightedBound(residuals, batch: batch, beta: beta)
      : lowerBound(residuals, batch: batch, beta: beta)
  }

  private func lowerBound(
    _ residuals: VAE.Residuals, batch: Int, beta: Double
  ) -> (terms: [Double], residuals: Residuals) {
    let share = 1 / Double(residuals.draws)
    let freeBits = settings.freeBits > 0 ? Float(settings.freeBits) : nil
    func sum(_ divergence: LatentChain.Divergence) -> Double {
      share * residuals.chain.divergences(divergence).reduce(0, +)
    }
    let reconstruction = share * residuals.likelihood.losses.reduce(0, +)
    let whole = sum(.mean(beta: 1, freeBits: nil))
    let counted = freeBits == nil ? whole : sum(.mean(beta: 1, freeBits: freeBits))
    return shared(
      [reconstruction + beta * counted, reconstruction, whole], batch: batch, residuals,
      weights: [Double](repeating: share, count: residuals.chain.draws),
      .mean(beta: beta, freeBits: freeBits))
  }

  private func importanceWeightedBound(
    _ residuals: VAE.Residuals, batch: Int, beta: Double
  ) -> (terms: [Double], residuals: Residuals) {
    let divergence = LatentChain.Divergence.drawn(beta: beta)
    let (draws, losses, ratios) = (
      residuals.draws, residuals.likelihood.losses, residuals.chain.divergences(divergence)
    )
    let logWeights = zip(losses, ratios).map { -$0 - beta * $1 }
    var (bound, weights) = (0.0, [Double]())
    for image in 0..<logWeights.count / draws {
      let own = logWeights[image * draws..<(image + 1) * draws]
      var total = LogSum()
      for weight in own { total.add(weight) }
      bound += total.value - .log(Double(draws))
      weights += own.map { .exp($0 - total.value) }
    }
    let share = 1 / Double(draws)
    return shared(
      [-bound, share * losses.reduce(0, +), share * ratios.reduce(0, +)], batch: batch, residuals,
      weights: weights, divergence)
  }

  /// Of sums over some rows, their share of the means over the batch.
  private func shared(
    _ sums: [Double], batch: Int, _ residuals: VAE.Residuals, weights: [Double],
    _ divergence: LatentChain.Divergence
  ) -> (terms: [Double], residuals: Residuals) {
    let scale = 1 / Double(batch)
    return (
      sums.map { scale * $0 },
      Residuals(vae: residuals, scale: scale, weights: weights, divergence: divergence)
    )
  }

  package struct Residuals: Sendable {
    let vae: VAE.Residuals
    let scale: Double
    let weights: [Double]
    let divergence: LatentChain.Divergence
  }

  package func backward(_ vae: VAE, _ residuals: Residuals, _ gradients: inout Gradients) {
    backward(vae, residuals, weight: 1, plus: nil, &gradients)
  }

  /// - Parameters:
  ///   - weight: of this loss in a larger one.
  ///   - other: what else the larger one's derivative by the decoder's output consists of.
  func backward(
    _ vae: VAE, _ residuals: Residuals, weight: Double, plus other: Matrix?,
    _ gradients: inout Gradients
  ) {
    vae.backward(
      residuals.vae, scale: weight * residuals.scale, weights: residuals.weights,
      residuals.divergence, plus: other, &gradients)
  }
}

extension VAESettings {
  /// Of one draw the importance-weighted bound is the ELBO: then the divergence need not be drawn.
  var isImportanceWeighted: Bool { objective == .iwae && samples > 1 }

  /// What to add where the ELBO is told.
  func boundRemark(_ bound: Double) -> String {
    isImportanceWeighted
      ? "; importance-weighted bound of \(samples) samples \(bound.digits(2)) nats" : ""
  }

  /// β in an update, which rises linearly from 0 where there is a warm-up.
  func beta(at step: Int) -> Double {
    step < betaWarmup ? beta * Double(step) / Double(betaWarmup) : beta
  }
}
