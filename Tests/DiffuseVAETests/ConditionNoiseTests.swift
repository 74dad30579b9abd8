import Testing

@testable import DiffuseVAE
@testable import Neural

/// Noise on x̂0 in training, as the network meets it.
@Suite struct ConditionNoiseTests {
  static let (images, pixels) = (400, 60)

  /// A network that remembers what it was shown.
  struct Witness: Denoiser {
    struct Residuals: Sendable {
      let x: Matrix
      let condition: Matrix?
      let timesteps: [Double]
    }
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Residuals) {
      (x, Residuals(x: x, condition: condition.image, timesteps: timesteps))
    }
    func backward(_ dOutput: Matrix, _ residuals: Residuals, _ gradients: inout Gradients) {}
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows {}
  }

  /// What the network is shown of a batch, with noise up to `level`.
  private func shown(
    _ formulation: Formulation, level: Double, isTraining: Bool = true,
    rows: Range<Int> = 0..<images
  ) throws -> Witness.Residuals {
    let configuration = try small(
      "diffusion.formulation=\(formulation.rawValue)", "diffusion.condition_noise=\(level)")
    let vae = VAE(configuration.vae, pixels: Self.pixels, seed: 1).shaken(0.2)
    let objective = try DiffusionObjective<Witness>(configuration, vae: vae)
    let slice = Slice(
      examples: normal(Self.images, Self.pixels, seed: 4).sigmoid().rows(rows), rows: rows,
      batch: Self.images, seed: 5, step: 6, isTraining: isTraining)
    return objective.forward(Witness(), slice).residuals.network
  }

  private func difference(_ a: Matrix, _ b: Matrix) -> Matrix {
    var d = a
    d.add(-1, b)
    return d
  }

  @Test("Deviations are uniform up to the setting, and the noise is Gaussian")
  func moments() throws {
    let (noised, plain) = (try shown(.concat, level: 0.5), try shown(.concat, level: 0))
    let noise = difference(try #require(noised.condition), try #require(plain.condition))
    // E x² = σ²/3 and E x⁴ = 3 σ⁴/5; of an image's mean square, n pixels of one deviation s:
    // E = σ²/3, and E of its square = σ⁴/5 (1 + 2/n).
    let squares = (0..<Self.images).map { row in
      noise.rows(row..<row + 1).squaredNorm / Double(Self.pixels)
    }
    let (n, fourthPower) = (Double(Self.images), 0.5 * 0.5 * 0.5 * 0.5)
    let mean = squares.reduce(0, +) / n
    let error = (fourthPower * (0.2 * (1 + 2 / Double(Self.pixels)) - 1.0 / 9) / n).squareRoot()
    #expect(abs(mean - 0.25 / 3) < 4 * error, "\(mean)")
    // A tenth of the images has deviations below a tenth of 0.5, and as many above nine tenths.
    for (name, count) in [
      ("low", squares.count { $0 < 0.05 * 0.05 }), ("high", squares.count { $0 > 0.45 * 0.45 }),
    ] {
      #expect(abs(Double(count) - 40) < 4 * (n * 0.1 * 0.9).squareRoot(), "\(count) \(name)")
    }
    // E x⁴ / (E x²)² = 27/5, within about four standard errors.
    let fourth = noise.elements.reduce(0.0) { $0 + Double($1 * $1 * $1 * $1) }
    let kurtosis = fourth / Double(noise.elements.count) / (mean * mean)
    #expect(abs(kurtosis - 5.4) < 0.9, "\(kurtosis)")
  }

  @Test("Noise is for training only, and the same for any lanes")
  func modes() throws {
    let (noised, plain) = (try shown(.concat, level: 0.5), try shown(.concat, level: 0))
    let evaluated = try shown(.concat, level: 0.5, isTraining: false)
    #expect(evaluated.condition == plain.condition && evaluated.x == plain.x)
    #expect(noised.x == plain.x)
    let part = try shown(.concat, level: 0.5, rows: 16..<48)
    let whole = try #require(noised.condition).rows(16..<48)
    #expect(distance(try #require(part.condition), whole) < 1e-5)
  }

  @Test("The process itself is that of the noised x̂0")
  func process() throws {
    let schedule = try DiffusionProcess(small().diffusion).schedule
    for formulation in [Formulation.centred, .residual] {
      let (noised, plain) = (
        try shown(formulation, level: 0.5), try shown(formulation, level: 0)
      )
      let noise = difference(try #require(noised.condition), try #require(plain.condition))
      // centred: x = α x0 + σ ε + x̂0; residual: x = α (x0 - x̂0) + σ ε + x̂0.
      var expected = plain.x
      expected.scaleRows(
        [Float](repeating: 1, count: Self.images),
        adding: plain.timesteps.map {
          formulation == .centred ? 1 : 1 - Float(schedule.level(timestep: $0).alpha)
        }, noise)
      #expect(distance(noised.x, expected) < 1e-5)
    }
  }
}
