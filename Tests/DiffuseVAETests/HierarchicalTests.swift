import Formats
import Foundation
import Neural
import RealModule
import Testing

@testable import DiffuseVAE

@Suite struct HierarchicalTests {
  /// Some 60 roundings of numbers below 64, of 2⁻²⁴ each.
  private let tolerance = 60 * 64 * 0x1p-24

  private func bounds(
    _ settings: VAESettings, _ vae: VAE, _ x: Matrix, _ noise: Matrix
  ) -> [Double] {
    (0..<x.rows).map { row in
      let own = noise.rows(row..<row + 1).reshaped(columns: vae.noiseColumns)
      return -VAEObjective(settings).forward(
        vae, x.rows(row..<row + 1), noise: own, batch: 1, beta: 1
      ).terms[0]
    }
  }

  @Test(
    "Hierarchical VAE: with exact posteriors on a linear-Gaussian chain, every weight is p(x)",
    arguments: [2, 5])
  func exactWeights(samples: Int) throws {
    var settings = LinearChain.settings
    (settings.samples, settings.objective) = (samples, .iwae)
    let x = LinearGaussian.data(40)
    let found = bounds(settings, LinearChain.vae(), x, normal(40, 6 * samples, seed: 9))
    for (found, exact) in zip(found, try LinearChain.logDensities(of: x)) {
      #expect(abs(found - exact) < tolerance, "\(found), not \(exact)")
    }
  }

  @Test("Hierarchical VAE: with exact posteriors on a linear-Gaussian chain, ELBO = log p(x)")
  func exactBound() throws {
    // The bound is quadratic in the 6 numbers of noise: its mean is that over the points ±√6 eᵢ.
    var settings = LinearChain.settings
    settings.samples = 12
    var points = Matrix(12, 6)
    for place in 0..<12 {
      points[place, place / 2] = Float(6).squareRoot() * (place % 2 == 0 ? 1 : -1)
    }
    let x = LinearGaussian.data(40)
    let noise = points.reshaped(columns: 72).repeatingRows(40)
    let found = bounds(settings, LinearChain.vae(), x, noise)
    for (found, exact) in zip(found, try LinearChain.logDensities(of: x)) {
      #expect(abs(found - exact) < tolerance, "\(found), not \(exact)")
    }
  }

  @Test("Hierarchical VAE: the marginal covariance of a linear-Gaussian chain is the closed form")
  func marginalCovariance() throws {
    // z3 has 3 dimensions, z2 and z1 two: Cov z1 = A (C Cᵀ + T) Aᵀ + S.
    var settings = LinearChain.settings
    settings.upperLatents = [2, 3]
    var vae = VAE(settings, pixels: 4, seed: 0)
    let (a, c) = ([[0.8, 0.3], [-0.5, 1.1]], [[1.0, 0.2, -0.7], [0.4, -0.9, 0.1]])
    let (m, s, t) = ([0.4, -0.3], [0.5, 0.25], [0.3, 0.7])
    let (two, three) = ([0.0, 0], [0.0, 0, 0])
    vae.set("upper.0.decoder.0.weight", a + [two, two])
    vae.set("upper.0.decoder.0.bias", [m + s.map { Double.log($0) }])
    vae.set("upper.1.decoder.0.weight", c + [three, three])
    vae.set("upper.1.decoder.0.bias", [two + t.map { Double.log($0) }])
    func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
    func product(_ x: [[Double]], _ inner: [[Double]]) -> [[Double]] {  // x inner xᵀ
      x.map { left in x.map { right in dot(left, inner.map { dot($0, right) }) } }
    }
    func plus(_ x: [[Double]], _ diagonal: [Double]) -> [[Double]] {
      var sum = x
      for i in x.indices { sum[i][i] += diagonal[i] }
      return sum
    }
    let one = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]
    let expected = plus(product(a, plus(product(c, one), t)), s)

    let n = 20_000
    let z = try LatentPrior.normal.draw(Array(0..<n), of: vae, seed: 4, temperature: 1)
    let (mean, covariance) = try meanAndCovariance(of: z, threads: 1)
    for i in 0..<2 {
      let error = (expected[i][i] / Double(n)).squareRoot()
      #expect(abs(mean[i] - m[i]) < 4.5 * error, "\(mean[i]), not \(m[i])")
      for j in 0..<2 {
        let squares = expected[i][i] * expected[j][j] + expected[i][j] * expected[i][j]
        let error = (squares / Double(n)).squareRoot()
        let (found, exact) = (covariance[2 * i + j], expected[i][j])
        #expect(abs(found - exact) < 4.5 * error, "\(found), not \(exact) ± \(error)")
      }
    }
    // Temperature scales the deviation at every level.
    let (cold, half) = (
      try LatentPrior.normal.draw([0, 1], of: vae, seed: 4, temperature: 0),
      try LatentPrior.normal.draw([0, 1], of: vae, seed: 4, temperature: 0.5)
    )
    for row in 0..<2 {
      for i in 0..<2 {
        #expect(abs(Double(cold[row, i]) - m[i]) < 1e-6)
        #expect(abs(2 * (half[row, i] - cold[row, i]) - (z[row, i] - cold[row, i])) < 1e-5)
      }
    }
  }

  private func nonlinear(_ change: (inout VAESettings) -> Void = { _ in }) -> VAESettings {
    var settings = VAESettings()
    (settings.hidden, settings.latent) = ([10, 9], 5)
    (settings.upperLatents, settings.upperHidden) = ([4, 2], [7])
    change(&settings)
    return settings
  }

  private let slice = Slice(
    examples: normal(7, 12, seed: 3).sigmoid(), rows: 0..<7, batch: 7, seed: 8, step: 2)

  @Test("The divergence of a draw is ln q - ln p of its levels, in double precision")
  func definition() {
    let vae = VAE(nonlinear(), pixels: 12, seed: 1).shaken(0.3)
    let noise = normal(7, 11, seed: 9)
    let chain = vae.chain(from: vae.encode(slice.examples, labels: nil), noise: noise)
    /// ln N(z; μ, σ²) + ln √2π of the numbers of one row, given [μ | ln σ²].
    func logDensity(_ z: [Double], _ parameters: [Double]) -> Double {
      z.indices.reduce(0) { sum, i in
        let (mean, s) = (parameters[i], parameters[z.count + i])
        return sum - 0.5 * ((z[i] - mean) * (z[i] - mean) * Double.exp(-s) + s)
      }
    }
    for row in 0..<7 {
      func numbers(_ matrix: Matrix) -> [Double] {
        matrix.rows(row..<row + 1).elements.map(Double.init)
      }
      let sizes = [0..<5, 5..<9, 9..<11]
      var (below, expected) = (slice.examples, 0.0)
      let nothing = [Double](repeating: 0, count: 4)
      for (level, columns) in sizes.enumerated() {
        let encoder = level == 0 ? vae.encoder : vae.upper[level - 1].encoder
        let q = numbers(encoder(below))
        let count = columns.count
        let z = (0..<count).map {
          q[$0] + Double.exp(q[count + $0] / 2) * Double(noise[row, columns.lowerBound + $0])
        }
        let latent = chain.latents[level]
        #expect(zip(z, numbers(latent)).allSatisfy { abs($0 - $1) < 1e-5 })
        let p = level < 2 ? numbers(vae.upper[level].decoder(chain.latents[level + 1])) : nothing
        expected += logDensity(z, q) - logDensity(z, p)
        below = latent
      }
      let found = chain.divergences(.drawn(beta: 1))[row]
      #expect(abs(found - expected) < 2e-5, "\(found), not \(expected)")
    }
  }

  @Test(
    "Hierarchical VAE: derivatives of both bounds agree with finite differences",
    arguments: VAESettings.Bound.allCases, [1, 3])
  func gradients(bound: VAESettings.Bound, samples: Int) {
    let settings = nonlinear {
      ($0.objective, $0.samples, $0.beta) = (bound, samples, bound == .elbo ? 0.7 : 1)
    }
    let vae = VAE(settings, pixels: 12, seed: 1).shaken(0.1)
    let errors = worstGradientError(VAEObjective(settings), vae, slice)
    #expect(errors.count == 2 * 6 + 2 * 2 * 4)
    for (name, error) in errors { #expect(error < 4e-3, "\(name)") }
  }

  @Test("One sample of three levels: IWAE and ELBO are the same, and so are their derivatives")
  func oneSample() {
    let results = VAESettings.Bound.allCases.map { bound in
      let settings = nonlinear { $0.objective = bound }
      let vae = VAE(settings, pixels: 12, seed: 1)
      var gradients = Gradients(of: vae)
      let (terms, residuals) = VAEObjective(settings).forward(vae, slice)
      VAEObjective(settings).backward(vae, residuals, &gradients)
      var values: [Matrix] = []
      vae.forEachParameter { values.append(gradients[$1].value) }
      return (terms: terms, gradients: values)
    }
    #expect(results[0].terms == results[1].terms && results[0].gradients == results[1].gradients)
  }

  @Test("A run of three levels: its file, its latents, its own prior, whatever the threads")
  func run() throws {
    try inTemporaryFolder { runs in
      let configuration = try small(
        "vae.upper_latents=[3, 2]", "vae.upper_hidden=[8]", "vae.samples=2", "vae.objective=iwae",
        "vae.binarise=static", "training.vae.steps=200")
      let trained = try [1, 3].map {
        try trainedRun(in: runs, name: "threads-\($0)", configuration, threads: $0)
      }
      for stage in configuration.stages {
        let bytes = try trained.map { try File.read($0.weightsFile(stage)) }
        #expect(bytes[0] == bytes[1])
      }
      let names = try SafeTensors.read(trained[0].weightsFile(.vae)).tensors.mapValues(\.shape)
      let levels = names.filter { $0.key.hasPrefix("upper") }
      #expect(
        levels == [
          "upper.0.encoder.0.weight": [8, 4], "upper.0.encoder.0.bias": [8],
          "upper.0.encoder.1.weight": [6, 8], "upper.0.encoder.1.bias": [6],
          "upper.0.decoder.0.weight": [8, 3], "upper.0.decoder.0.bias": [8],
          "upper.0.decoder.1.weight": [8, 8], "upper.0.decoder.1.bias": [8],
          "upper.1.encoder.0.weight": [8, 3], "upper.1.encoder.0.bias": [8],
          "upper.1.encoder.1.weight": [4, 8], "upper.1.encoder.1.bias": [4],
          "upper.1.decoder.0.weight": [8, 2], "upper.1.decoder.0.bias": [8],
          "upper.1.decoder.1.weight": [6, 8], "upper.1.decoder.1.bias": [6],
        ])
      #expect(names.count == levels.count + 8)

      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let report = try decoder.decode(
        LatentReport.self, from: Data(try File.read(trained[0].latentsFile)))
      #expect(report.latents.count == 4 && report.levels?.count == 3)
      let all = try #require(report.divergenceFromLevels)
      let sum = try #require(report.levels).reduce(0) { $0 + $1.mean }
      #expect(abs(all.mean - sum) < 1e-9)
      // The same of the test images as the ELBO has it, by other draws, of binarised images.
      let model = try Model(of: trained[0], prior: .normal)
      let test = try #require(try Dataset(configuration.data).test)
      let bound = try model.evidenceLowerBound(of: test, threads: 2)
      #expect(bound.divergence > 0 && bound.binarise == .static)

      // Image i of a seed, from the highest level down.
      let vae = try #require(model.vae)
      let options = SamplingOptions(configuration.sampling, threads: 2)
      let images = try Generator(model, options).reconstructions(0..<3)
      let noise = RandomStream(seed: 0, purpose: .latent).normal(rows: 0..<3, columns: 9)
      let z2 = DiagonalGaussian(vae.upper[1].decoder(noise.columns(7..<9)))
        .sample(noise.columns(4..<7))
      let z1 = DiagonalGaussian(vae.upper[0].decoder(z2)).sample(noise.columns(0..<4))
      #expect(distance(vae.decode(z1, labels: nil).clamped(to: 0...1), images) < 1e-5)
    }
  }

  @Test("A plain VAE has neither the names nor the numbers of several levels")
  func plain() throws {
    let configuration = try Configuration(yaml: "vae: {latent: 8}", name: "old")
    #expect(configuration.vae.upperLatents.isEmpty)
    let vae = VAE(configuration.vae, pixels: 12, seed: 0)
    #expect(vae.noiseColumns == 8)
    vae.forEachParameter { name, _ in #expect(!name.contains("upper")) }
    let noise = normal(3, 8, seed: 1)
    #expect(vae.latents(from: noise) == noise)
  }
}
