import Neural
import RealModule
import Testing

@testable import DiffuseVAE

@Suite struct VAEObjectiveTests {
  static let pixels = 12

  func settings(_ likelihood: VAESettings.Likelihood) -> VAESettings {
    var settings = VAESettings()
    (settings.hidden, settings.latent, settings.likelihood) = ([10, 9], 3, likelihood)
    return settings
  }

  func vae(_ settings: VAESettings) -> VAE {
    VAE(settings, pixels: Self.pixels, seed: 1).shaken(0.1)
  }

  func slice(_ rows: Range<Int> = 0..<7, step: Int = 2, isTraining: Bool = true) -> Slice {
    Slice(
      examples: normal(7, Self.pixels, seed: 3).sigmoid().rows(rows), indices: Array(rows),
      rows: rows, batch: 7, seed: 8, step: step, isTraining: isTraining)
  }

  func gradients(
    _ objective: VAEObjective, _ vae: VAE, _ slice: Slice
  ) -> (terms: [Double], gradients: [String: Matrix]) {
    var gradients = Gradients(of: vae)
    let (terms, residuals) = objective.forward(vae, slice)
    objective.backward(vae, residuals, &gradients)
    var values: [String: Matrix] = [:]
    vae.forEachParameter { values[$0] = gradients[$1].value }
    return (terms, values)
  }

  @Test(
    "Hierarchical VAE: one level is the VAE bit for bit, as Kingma & Welling have it",
    arguments: VAESettings.Likelihood.allCases)
  func plain(likelihood: VAESettings.Likelihood) {
    var settings = settings(likelihood)
    settings.beta = 0.7
    let (vae, slice) = (vae(settings), slice())
    let (terms, found) = gradients(VAEObjective(settings), vae, slice)

    // -ln p(x|z) and β KL(q(z|x) ‖ N(0, I)), each number's derivative in single precision.
    let (scale, latent) = (1 / 7.0, 3)
    let noise = RandomStream(seed: 8, purpose: .latentNoise, step: 2).normal(
      rows: 0..<7, columns: latent)
    let (encoding, encodingResiduals) = vae.encoder.forward(slice.examples)
    let posterior = DiagonalGaussian(encoding)
    let (output, decodingResiduals) = vae.decoder.forward(posterior.sample(noise))
    var gradients = Gradients(of: vae)
    var (dOutput, reconstruction) = (Matrix(0, 0), 0.0)
    if likelihood == .bernoulli {
      dOutput = output.sigmoid()
      dOutput.add(-1, slice.examples)
      for (l, x) in zip(output.elements, slice.examples.elements) {
        reconstruction += Double.log(1 + Double.exp(Double(l))) - Double(x) * Double(l)
      }
    } else {
      let s = Double(vae.logVariance?.value[0, 0] ?? 0)
      let weights = [Float](repeating: Float(0.5 * Double.exp(-s)), count: 7)
      let error: Double
      (error, dOutput) = squaredError(output, slice.examples, weights: weights)
      reconstruction = 0.5 * 7 * 12 * (Double.log(2 * .pi) + s) + error
      if let logVariance = vae.logVariance {
        let derivative = scale * (0.5 * 7 * 12 - error)
        gradients[logVariance].add(Matrix(1, 1, [Float(derivative)]))
      }
    }
    dOutput.scale(Float(scale))
    let dz = vae.decoder.backward(dOutput, decodingResiduals, &gradients)
    var dEncoding = posterior.backward(dz, noise: noise)
    let factor = Float(scale * 0.7)
    dEncoding.add(
      posterior.divergenceDerivative(factors: [Float](repeating: factor, count: 7)))
    vae.encoder.backwardFromData(dEncoding, encodingResiduals, &gradients)
    vae.forEachParameter { #expect(found[$0] == gradients[$1].value, "\($0)") }

    var divergence = 0.0
    for row in 0..<7 {
      for i in 0..<latent {
        let (mean, s) = (Double(encoding[row, i]), Double(encoding[row, latent + i]))
        divergence += (mean * mean + Double.exp(s) - s - 1) / 2
      }
    }
    for (term, expected) in zip(
      terms, [reconstruction + 0.7 * divergence, reconstruction, divergence])
    { #expect(abs(term - scale * expected) < 1e-6 * abs(term), "\(term), not \(scale * expected)") }
  }

  @Test("β rises linearly from 0, in training only; the divergence itself is told")
  func warmup() {
    var settings = settings(.bernoulli)
    (settings.beta, settings.betaWarmup) = (0.5, 10)
    let vae = vae(settings)
    for (step, beta) in [(0, 0), (1, 0.05), (4, 0.2), (9, 0.45), (10, 0.5), (11, 0.5)] {
      let terms = VAEObjective(settings).forward(vae, slice(step: step)).terms
      #expect(abs(terms[0] - terms[1] - beta * terms[2]) < 1e-12 * terms[0], "step \(step)")
    }
    let terms = VAEObjective(settings).forward(vae, slice(step: -1, isTraining: false)).terms
    #expect(abs(terms[0] - terms[1] - 0.5 * terms[2]) < 1e-12 * terms[0])
    #expect(VAESettings().beta(at: 0) == 1)
  }

  @Test("Free bits: each latent of each image counts λ at least; lanes make no difference")
  func freeBits() {
    var settings = settings(.bernoulli)
    (settings.beta, settings.freeBits) = (0.7, 0.05)
    let (vae, whole) = (vae(settings), slice())
    let terms = VAEObjective(settings).forward(vae, whole).terms
    let encoding = vae.encoder(whole.examples)
    var (divergence, counted, free) = (0.0, 0.0, 0)
    for row in 0..<7 {
      for i in 0..<3 {
        let (mean, s) = (Double(encoding[row, i]), Double(encoding[row, 3 + i]))
        let kl = (mean * mean + Double.exp(s) - s - 1) / 2
        divergence += kl / 7
        counted += max(0.05, kl) / 7
        if kl < 0.05 { free += 1 }
      }
    }
    #expect(free > 2 && free < 19, "\(free) of 21 are below λ")
    #expect(abs(terms[2] - divergence) < 1e-6 && abs(terms[0] - terms[1] - 0.7 * counted) < 1e-6)
    let halves = [0..<3, 3..<7].map { VAEObjective(settings).forward(vae, slice($0)).terms[0] }
    #expect(abs(halves[0] + halves[1] - terms[0]) < 1e-6)
  }

  @Test("Derivatives with warm-up and free bits agree with finite differences")
  func gradients() {
    var settings = settings(.gaussian)
    (settings.beta, settings.betaWarmup, settings.freeBits) = (2, 8, 0.05)
    let errors = worstGradientError(VAEObjective(settings), vae(settings), slice(step: 3))
    #expect(errors.count == 13)
    for (name, error) in errors { #expect(error < 3e-3, "\(name)") }
  }
}
