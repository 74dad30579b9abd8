import Neural
import RealModule
import Testing

@testable import DiffuseVAE

@Suite struct ImportanceWeightedTests {
  private func settings(
    _ samples: Int, _ objective: VAESettings.Bound = .iwae,
    _ likelihood: VAESettings.Likelihood = .bernoulli
  ) -> VAESettings {
    var settings = VAESettings()
    (settings.hidden, settings.latent, settings.likelihood) = ([10, 9], 3, likelihood)
    (settings.samples, settings.objective) = (samples, objective)
    return settings
  }

  private func vae(_ settings: VAESettings) -> VAE {
    VAE(settings, pixels: 12, seed: 1).shaken(0.1)
  }

  private func slice(_ rows: Range<Int> = 0..<7) -> Slice {
    Slice(
      examples: normal(7, 12, seed: 3).sigmoid().rows(rows), rows: rows, batch: 7, seed: 8, step: 2)
  }

  /// The bounds of the rows of `x`, one by one, with the noise of each image in a row.
  private func bounds(
    _ samples: Int, _ vae: VAE, _ x: Matrix, _ noise: Matrix,
    _ objective: VAESettings.Bound = .iwae, beta: Double = 1
  ) -> [Double] {
    let goal = VAEObjective(settings(samples, objective))
    return (0..<x.rows).map { row in
      let own = noise.rows(row..<row + 1).reshaped(columns: vae.latent)
      return -goal.forward(vae, x.rows(row..<row + 1), noise: own, batch: 1, beta: beta).terms[0]
    }
  }

  @Test(
    "IWAE: k = 1 equals the ELBO bit for bit, terms and derivatives",
    arguments: VAESettings.Likelihood.allCases)
  func oneSample(likelihood: VAESettings.Likelihood) {
    let results = VAESettings.Bound.allCases.map { bound in
      let settings = settings(1, bound, likelihood)
      let (vae, objective) = (vae(settings), VAEObjective(settings))
      var gradients = Gradients(of: vae)
      let (terms, residuals) = objective.forward(vae, slice())
      objective.backward(vae, residuals, &gradients)
      var values: [Matrix] = []
      vae.forEachParameter { values.append(gradients[$1].value) }
      return (terms: terms, gradients: values)
    }
    #expect(results[0].terms == results[1].terms && results[0].gradients == results[1].gradients)
  }

  @Test(
    "Derivatives of both bounds of three samples agree with finite differences, β warming up or not",
    arguments: VAESettings.Bound.allCases, VAESettings.Likelihood.allCases)
  func gradients(bound: VAESettings.Bound, likelihood: VAESettings.Likelihood) {
    var settings = settings(3, bound, likelihood)
    // Of an update whose number is 2.
    settings.betaWarmup = likelihood == .gaussian ? 5 : 0
    let errors = worstGradientError(VAEObjective(settings), vae(settings), slice())
    #expect(errors.count == (likelihood == .gaussian ? 13 : 12))
    for (name, error) in errors { #expect(error < 3e-3, "\(name)") }
  }

  @Test(
    "The bound is its definition: the mean of w = p(x|z) (p(z)/q(z|x))^β over draws of z",
    arguments: [1, 0.3])
  func definition(beta: Double) {
    let (k, x) = (4, slice().examples)
    let vae = vae(settings(k))
    let noise = normal(7, k * 3, seed: 9)
    let encoding = vae.encoder(x)
    for (row, bound) in bounds(k, vae, x, noise, beta: beta).enumerated() {
      var sum = 0.0
      for draw in 0..<k {
        var z = Matrix(1, 3)
        var logWeight = 0.0
        for i in 0..<3 {
          let (mean, s) = (Double(encoding[row, i]), Double(encoding[row, 3 + i]))
          let e = Double(noise[row, 3 * draw + i])
          let latent = mean + Double.exp(s / 2) * e
          z[0, i] = Float(latent)
          logWeight += beta * (e * e + s - latent * latent) / 2
        }
        for (l, pixel) in zip(vae.decoder(z).elements, x.rows(row..<row + 1).elements) {
          logWeight += Double(pixel) * Double(l) - Double.log(1 + Double.exp(Double(l)))
        }
        sum += Double.exp(logWeight) / Double(k)
      }
      #expect(abs(bound - Double.log(sum)) < 2e-5, "\(bound), not \(Double.log(sum))")
    }
  }

  @Test("Of several samples the ELBO is the mean of their ELBOs")
  func means() {
    let (x, noise) = (slice().examples, normal(7, 4 * 3, seed: 9))
    let vae = vae(settings(4))
    let all = bounds(4, vae, x, noise, .elbo)
    let each = (0..<4).map { bounds(1, vae, x, noise.columns(3 * $0..<3 * $0 + 3), .elbo) }
    for row in 0..<7 {
      let mean = each.reduce(0) { $0 + $1[row] } / 4
      #expect(abs(all[row] - mean) < 1e-5, "\(all[row]), not \(mean)")
    }
  }

  @Test("IWAE: non-decreasing in k, for the mean over the subsets of the draws, and on average")
  func nonDecreasing() {
    // ln of a mean is no less than the mean of ln: for the same draws, the bound of all is no less
    // than the mean of the halves' bounds (Burda et al. 2016, theorem 1).
    let (x, noise) = (slice().examples, normal(7, 32 * 3, seed: 9))
    let vae = vae(settings(1)).shaken(0.4)
    func mean(_ samples: Int) -> [Double] {
      let parts = (0..<32 / samples).map { part in
        let columns = 3 * samples * part..<3 * samples * (part + 1)
        return samples == 1
          ? drawnBounds(vae, x, noise.columns(columns))
          : bounds(samples, vae, x, noise.columns(columns))
      }
      return (0..<7).map { row in
        parts.reduce(0) { $0 + $1[row] } / Double(parts.count)
      }
    }
    let means = [1, 2, 4, 8, 16, 32].map(mean)
    for (few, many) in zip(means, means.dropFirst()) {
      for row in 0..<7 { #expect(many[row] >= few[row], "\(many[row]) < \(few[row])") }
    }
    #expect(zip(means[0], means[5]).allSatisfy { $1 > $0 + 0.01 })
  }

  /// ln w of every draw.
  private func drawnBounds(_ vae: VAE, _ x: Matrix, _ noise: Matrix) -> [Double] {
    let residuals = vae.forward(x, noise: noise)
    let ratios = residuals.chain.divergences(.drawn(beta: 1))
    return zip(residuals.likelihood.losses, ratios).map { -$0 - $1 }
  }

  @Test(
    "ELBO of a VAE: with the exact posterior, every draw's weight is p(x)", arguments: [1, 2, 7])
  func exactPosterior(samples: Int) throws {
    let x = LinearGaussian.data(40)
    let vae = LinearGaussian.vae()
    let exact = try LinearGaussian.logDensities(of: x)
    let noise = normal(40, 2 * samples, seed: 9)
    let found = samples == 1 ? drawnBounds(vae, x, noise) : bounds(samples, vae, x, noise)
    // Some 40 roundings of numbers below 64, of 2⁻²⁴ each.
    for (found, exact) in zip(found, exact) {
      #expect(abs(found - exact) < 40 * 64 * 0x1p-24, "\(found), not \(exact)")
    }
  }

  @Test("ELBO of a VAE: the mean over z is ln p(x) for the exact posterior, and less for another")
  func exactBound() throws {
    // ln p(x|z) is quadratic in the noise, so that its mean is that over the 4 points ±√2 eᵢ.
    let x = LinearGaussian.data(40)
    let root = Float(2).squareRoot()
    let points = Matrix(1, 8, [root, 0, -root, 0, 0, root, 0, -root]).repeatingRows(40)
    let exact = try LinearGaussian.logDensities(of: x)
    for (found, exact) in zip(bounds(4, LinearGaussian.vae(), x, points, .elbo), exact) {
      #expect(abs(found - exact) < 40 * 64 * 0x1p-24, "\(found), not \(exact)")
    }
    // Twice as wide as it should be: KL(q ‖ p(z|x)) = ½ Σ (4 - 1 - ln 4).
    let wide = bounds(4, LinearGaussian.vae(widening: 2), x, points, .elbo)
    for (found, exact) in zip(wide, exact) {
      let gap = 3 - Double.log(4)
      #expect(abs(found - exact + gap) < 40 * 64 * 0x1p-24, "\(found), not \(exact - gap)")
    }
  }

  @Test("IWAE: tends to ln p(x) on the linear model")
  func limit() throws {
    // Draws of a posterior that is half as wide again; every mean of weights has some error.
    let (x, k) = (LinearGaussian.data(20), 1000)
    let vae = LinearGaussian.vae(widening: 1.5)
    let noise = normal(20, 2 * k, seed: 9)
    let exact = try LinearGaussian.logDensities(of: x)
    let found = bounds(k, vae, x, noise)
    var worst = 0.0
    for row in 0..<20 {
      let own = noise.rows(row..<row + 1).reshaped(columns: 2)
      let weights = drawnBounds(vae, x.rows(row..<row + 1), own)
        .map { Double.exp($0 - exact[row]) }
      let mean = weights.reduce(0, +) / Double(k)
      let variance = weights.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(k)
      let error = (variance / Double(k)).squareRoot()
      #expect(abs(found[row] - exact[row]) < 4.5 * error, "\(found[row]), not \(exact[row])")
      worst = max(worst, error)
    }
    #expect(worst < 0.03)
  }
}
