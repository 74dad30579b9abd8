import Formats
import Neural
import RealModule
import Testing

@testable import DiffuseVAE

@Suite struct ImportanceSamplingTests {
  private let shape = ImageShape(height: 3, width: 4, channels: 1)

  private func images(_ count: Int) -> ByteImages {
    let numbers = RandomStream(seed: 2, purpose: .component).integers(
      rows: 0..<12 * count, below: 256)
    return ByteImages(
      count: count, height: 3, width: 4, channels: 1, bytes: numbers.map(UInt8.init))
  }

  /// Untrained, but shaken so that nothing is zero.
  private func model(_ settings: String...) throws -> Model {
    let configuration = try small(settings)
    let vae = VAE(configuration.vae, pixels: 12, seed: 1).shaken(0.2)
    return try Model(configuration, shape: shape, vae: vae, denoiser: nil)
  }

  @Test(
    "Importance sampling: with exact posteriors it is ln p(x), by one sample or many",
    arguments: [1, 255, 256, 600], [true, false])
  func exact(samples: Int, hasLevels: Bool) throws {
    let x = LinearGaussian.data(5)
    let exact =
      try hasLevels ? LinearChain.logDensities(of: x) : LinearGaussian.logDensities(of: x)
    let vae = hasLevels ? LinearChain.vae() : LinearGaussian.vae()
    for row in 0..<5 {
      let found = vae.importanceWeightedBound(
        of: x.rows(row..<row + 1), row, samples: samples, seed: 3)
      // Some 60 roundings of numbers below 64, of 2⁻²⁴ each.
      #expect(abs(found - exact[row]) < 60 * 64 * 0x1p-24, "\(found), not \(exact[row])")
    }
  }

  @Test("Importance sampling: a Bernoulli decoder's ln p(x) is the integral over z")
  func integral() throws {
    var settings = VAESettings()
    (settings.hidden, settings.latent) = ([6], 1)
    var vae = VAE(settings, pixels: 12, seed: 1).shaken(0.5)
    // Wider than the prior, and so than p(z|x): then the weights are bounded.
    let slopes = (0..<6).map { 0.02 * Double($0) }
    vae.set("encoder.1.weight", [slopes, slopes])
    vae.set("encoder.1.bias", [[0.1, 0.7]])
    let x = normal(4, 12, seed: 3).sigmoid()
    let (step, samples) = (0.005, 20_000)
    let grid = (-2000...2000).map { Double($0) * step }
    let logits = vae.decoder(Matrix(grid.count, 1, grid.map { Float($0) }))
    let encoding = vae.encoder(x)
    for row in 0..<4 {
      let (mean, s) = (Double(encoding[row, 0]), Double(encoding[row, 1]))
      // p(x), and E w² over q(z|x), from which the error of the mean of w follows.
      var (density, square) = (0.0, 0.0)
      for (place, z) in grid.enumerated() {
        var logDensity = -0.5 * (z * z + Double.log(2 * .pi))
        for i in 0..<12 {
          let l = Double(logits[place, i])
          logDensity += Double(x[row, i]) * l - Double.log(1 + Double.exp(l))
        }
        let logProposal =
          -0.5 * ((z - mean) * (z - mean) * Double.exp(-s) + s + Double.log(2 * .pi))
        density += step * Double.exp(logDensity)
        square += step * Double.exp(2 * logDensity - logProposal)
      }
      let error = ((square / (density * density) - 1) / Double(samples)).squareRoot()
      let found = vae.importanceWeightedBound(
        of: x.rows(row..<row + 1), row, samples: samples, seed: 3)
      let exact = Double.log(density)
      #expect(error < 0.02, "too few samples to tell: ± \(error)")
      #expect(abs(found - exact) < 4 * error, "\(found), not \(exact) ± \(error)")
    }
  }

  @Test("The estimate is the mean over images and its error; threads and company do not matter")
  func mean() throws {
    let (model, images) = (
      try model("vae.binarise=dynamic", "vae.upper_latents=[2]", "vae.upper_hidden=[8]"), images(7)
    )
    var told: [Int] = []
    let estimate = try model.importanceEstimate(of: images, samples: 300, seed: 5, threads: 1) {
      told.append($0)
    }
    #expect(told.last == 7)
    #expect(try model.importanceEstimate(of: images, samples: 300, seed: 5, threads: 3) == estimate)
    let vae = try #require(model.vae)
    let uniform = RandomStream(seed: 0, purpose: .binarisation, step: -1)
      .uniform(rows: 0..<7, columns: 12)
    let values = (0..<7).map { number in
      let grey = images.pixels([number]).elements
      let black = (0..<12).map { grey[$0] > uniform[number, $0] ? Float(1) : 0 }
      return vae.importanceWeightedBound(
        of: Matrix(1, 12, black), number, samples: 300, seed: 5)
    }
    let mean = values.reduce(0, +) / 7
    let error = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 42).squareRoot()
    #expect(abs(estimate.mean - mean) < 1e-9, "\(estimate.mean), not \(mean)")
    #expect(abs((estimate.error ?? 0) - error) < 1e-9, "\(estimate.error ?? 0), not \(error)")
    #expect(estimate.images == 7 && estimate.samples == 300 && estimate.binarise == .dynamic)
    let one = try model.importanceEstimate(of: self.images(1), samples: 300, seed: 5, threads: 1)
    #expect(one.mean == values[0] && one.error == nil)
    let other = try model.importanceEstimate(of: images, samples: 300, seed: 6, threads: 1)
    #expect(other.mean != estimate.mean && abs(other.mean - estimate.mean) < 1)
  }

  @Test("More samples do not lower the estimate, and it is above the ELBO")
  func order() throws {
    let (model, images) = (try model("vae.latent=2"), images(60))
    let elbo = try model.evidenceLowerBound(of: images, threads: 2).total
    let found = try [10, 100, 1000].map {
      try model.importanceEstimate(of: images, samples: $0, seed: 5, threads: 2).mean
    }
    #expect(
      elbo < found[0] && found[0] < found[1] && found[1] < found[2] + 0.01, "\(elbo) \(found)")
  }

  @Test("What has no likelihood is refused in a sentence")
  func refused() throws {
    let none = try Model(
      small("diffusion.formulation=none"), shape: shape, vae: nil, denoiser: nil)
    let model = try model()
    var broken = try #require(model.vae)
    broken.visitParameters { name, parameter in
      if name == "decoder.0.weight" { parameter.value.elements[0] = .nan }
    }
    let diverged = try Model(model.configuration, shape: shape, vae: broken, denoiser: nil)
    func refuse(_ model: Model, _ images: ByteImages, _ part: String) {
      let found = problem {
        try model.importanceEstimate(of: images, samples: 10, seed: 0, threads: 1)
      }
      #expect(found.contains(part), "\(found)")
    }
    refuse(none, images(2), "no VAE")
    refuse(model, images(0), "one image")
    refuse(diverged, images(2), "not finite")
  }

  @Test("ln Σ eˣ: of nothing and of zeros -∞, in any order, and without overflow")
  func logSums() {
    func logSum(_ terms: [Double]) -> Double {
      var sum = LogSum()
      for term in terms { sum.add(term) }
      return sum.value
    }
    #expect(logSum([]) == -.infinity && logSum([-.infinity, -.infinity]) == -.infinity)
    for terms: [Double] in [[-.infinity, .log(2), .log(3)], [.log(3), -.infinity, .log(2)]] {
      #expect(abs(logSum(terms) - .log(5)) < 1e-15)
    }
    #expect([[.nan], [.nan, 0], [0, .nan], [0, .nan, 1]].allSatisfy { logSum($0).isNaN })
    #expect(abs(logSum([1000, 1001]) - (1001 + .log(onePlus: .exp(-1)))) < 1e-12)
  }
}
