import Neural
import RealModule
import Testing

@testable import DiffuseVAE

/// A VAE without hidden layers on Gaussian data is probabilistic PCA (Tipping & Bishop 1999; Lucas
/// et al. 2019), whose optimum is known in closed form.
@Suite struct LinearVAETests {
  /// 500 draws whose covariance has about these eigenvalues, in a rotated basis.
  static let data: Matrix = {
    let scales: [Double] = [4, 2, 0.5, 0.25, 0.05, 0.05].map { Double.sqrt($0) }
    let mixing = normal(6, 6, seed: 11).elements.map(Double.init)
    // The eigenvectors of a random symmetric matrix are a random basis.
    let symmetric: [Double] = (0..<36).map { (place: Int) -> Double in
      mixing[place] + mixing[place % 6 * 6 + place / 6]
    }
    let basis = (try? symmetricEigen(symmetric, n: 6).vectors) ?? []
    var data = normal(500, 6, seed: 12)
    for row in 0..<data.rows {
      let z = (0..<6).map { Double(data[row, $0]) * scales[$0] }
      for column in 0..<6 {
        data[row, column] = Float((0..<6).reduce(0) { $0 + z[$1] * basis[$1 * 6 + column] })
      }
    }
    return data
  }()

  /// Eigenvalues of the data's covariance, descending.
  static let eigenvalues: [Double] = {
    let n = Double(data.rows)
    var means = [Double](repeating: 0, count: 6)
    for row in 0..<data.rows { for i in 0..<6 { means[i] += Double(data[row, i]) / n } }
    var covariance = [Double](repeating: 0, count: 36)
    for row in 0..<data.rows {
      let x = (0..<6).map { Double(data[row, $0]) - means[$0] }
      for place in 0..<36 { covariance[place] += x[place / 6] * x[place % 6] / n }
    }
    return ((try? symmetricEigen(covariance, n: 6).values) ?? []).reversed()
  }()

  private func trained(latent: Int, beta: Double) throws -> VAE {
    var settings = VAESettings()
    (settings.hidden, settings.latent, settings.likelihood) = ([], latent, .gaussian)
    settings.beta = beta
    let objective = VAEObjective(settings)
    var vae = VAE(settings, pixels: 6, seed: 3)
    var stage = StageSettings()
    (stage.rate, stage.finalRatio) = (0.02, 0.001)
    var adamW = AdamW()
    adamW.maximumNorm = .infinity
    let steps = 8000
    for step in 0..<steps {
      let slice = Slice(
        examples: Self.data, rows: 0..<Self.data.rows, batch: Self.data.rows, seed: 4, step: step)
      let residuals = objective.forward(vae, slice).residuals
      var gradients = Gradients(of: vae)
      objective.backward(vae, residuals, &gradients)
      let rate = Float(stage.rate(at: step, of: steps))
      _ = try adamW.update(&vae, lanes: [gradients], step: step, rate: rate, threads: 1)
    }
    return vae.averaged
  }

  /// The ELBO without sampling error: the reconstruction term is quadratic in the noise, so its
  /// mean over N(0, I) is its mean over the 2k points ±√k eᵢ, which have the same covariance.
  private func elbo(_ vae: VAE) -> Double {
    let k = vae.latent
    var sum = 0.0
    for i in 0..<k {
      for sign in [-1.0, 1] {
        var noise = Matrix(Self.data.rows, k)
        for row in 0..<noise.rows { noise[row, i] = Float(sign * Double(k).squareRoot()) }
        let terms = VAEObjective(VAESettings())
          .forward(vae, Self.data, noise: noise, batch: noise.rows, beta: 1).terms
        sum += terms[0]
      }
    }
    return -sum / Double(2 * k)
  }

  @Test("ELBO of a VAE: trained to within 1e-3 nats a dimension of the best log-likelihood")
  func probabilisticPCA() throws {
    let (dimensions, latent) = (6, 2)
    let kept = Self.eigenvalues.prefix(latent)
    let noise =
      Self.eigenvalues.dropFirst(latent).reduce(0, +) / Double(dimensions - latent)
    let logarithms = kept.map { Double.log($0) }.reduce(0, +)
    let entropy = Double(dimensions) * (Double.log(2 * .pi) + 1)
    let best = -0.5 * (entropy + logarithms + Double(dimensions - latent) * Double.log(noise))
    let vae = try trained(latent: latent, beta: 1)
    let elbo = elbo(vae)
    #expect(abs(elbo - best) < 1e-3 * Double(dimensions), "\(elbo), not \(best)")
    let variance = Double.exp(Double(vae.logVariance?.value[0, 0] ?? 0))
    #expect(abs(variance / noise - 1) < 0.02, "\(variance), not \(noise)")
  }

  @Test("β-VAE: as many latents are active as eigenvalues exceed β σ²", arguments: [1.0, 2.0])
  func activeLatents(beta: Double) throws {
    // σ² = Σ inactive λ / (6 - β·active), from which 4 are active at β = 1, and 2 at β = 2.
    let active = beta == 1 ? 4 : 2
    let noise = Self.eigenvalues.dropFirst(active).reduce(0, +) / (6 - beta * Double(active))
    #expect(Self.eigenvalues.prefix(4).count { $0 > beta * noise } == active)
    let vae = try trained(latent: 4, beta: beta)
    let divergences = vae.encode(Self.data, labels: nil).divergencePerDimension
    #expect(divergences.count { $0 / Double(Self.data.rows) > 0.01 } == active, "\(divergences)")
    let variance = Double.exp(Double(vae.logVariance?.value[0, 0] ?? 0))
    #expect(abs(variance / noise - 1) < 0.05, "\(variance), not \(noise)")
  }
}
