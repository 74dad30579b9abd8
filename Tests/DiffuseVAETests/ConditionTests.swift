import Diffusion
import Testing

@testable import DiffuseVAE
@testable import Neural

/// What the second stage's network is shown, and guidance by what it is not.
@Suite struct ConditionTests {
  private typealias Parts = Conditioning.Parts

  private static let everything = [
    "diffusion.condition_latent=true", "vae.classes=3", "diffusion.classes=3",
    "diffusion.drop_reconstruction=0.5",
    "diffusion.drop_latent=0.3", "diffusion.drop_label=0.2",
  ]

  private func conditioning(_ settings: [String] = everything) throws -> Conditioning {
    Conditioning(try small(settings).diffusion)
  }

  @Test(
    "classifier-free guidance: the condition is dropped per sample, each part by itself and as often as said"
  )
  func dropping() throws {
    let stream = RandomStream(seed: 3, purpose: .withholding, step: 5)
    let rows = 20_000
    let withheld = try #require(try conditioning().withheld(stream, rows: 0..<rows))
    func share(_ parts: Parts) -> Double {
      Double(withheld.count { $0.isSuperset(of: parts) }) / Double(rows)
    }
    // Shares of one part, and of several at once: products, since they are independent.
    for (parts, expected) in [
      (Parts.reconstruction, 0.5), (.latent, 0.3), (.label, 0.2),
      ([.reconstruction, .latent], 0.15),
      ([.latent, .label], 0.06), ([.reconstruction, .label], 0.1),
      ([.reconstruction, .latent, .label], 0.03),
    ] {
      let error = (expected * (1 - expected) / Double(rows)).squareRoot()
      #expect(abs(share(parts) - expected) < 4 * error, "\(parts): \(share(parts))")
    }
    // A lane's rows are those of the batch.
    #expect(try conditioning().withheld(stream, rows: 40..<90) == Array(withheld[40..<90]))
    #expect(try conditioning([]).withheld(stream, rows: 0..<4) == nil)
  }

  @Test("What is withheld is zero, and a flag says so; the rest is as it is")
  func shown() throws {
    let conditioning = try conditioning()
    #expect(conditioning.features(latent: 4) == 4 + 3 + 3)
    let known = Known(
      reconstruction: normal(4, 6, seed: 1), z: normal(4, 4, seed: 2), labels: [2, 0, 1, 7])
    let withheld: [Parts] = [[], .reconstruction, [.latent, .label], []]
    let (reconstruction, condition) = conditioning.shown(known, rows: 4, withheld: withheld)
    var (image, z) = (try #require(known.reconstruction), try #require(known.z))
    image.replaceRow(1, by: Matrix(1, 6), 0)
    z.replaceRow(2, by: Matrix(1, 4), 0)
    #expect(reconstruction == image && condition.image == image)
    // Class 7 is none of the three.
    let rest = Matrix(
      4, 6, [0, 0, 1, 0, 0, 0] + [1, 0, 0, 1, 0, 0] + [0, 0, 0, 0, 1, 1] + [0, 0, 0, 0, 0, 0])
    #expect(condition.features == z.joined(rest))
    let all = conditioning.shown(known, rows: 4, withheld: nil)
    #expect(all.reconstruction == known.reconstruction)
    #expect(all.condition.features?.columns(7..<10) == Matrix(4, 3))
    let plain = try self.conditioning([]).shown(known, rows: 4, withheld: nil)
    #expect(plain.condition.image == known.reconstruction && plain.condition.features == nil)
  }

  @Test(
    "Derivatives of stage two's loss agree with finite differences, the condition's layer among them",
    arguments: ["mlp", "unet"])
  func gradients(kind: String) throws {
    let configuration = try small(Self.everything + ["denoiser.kind=\(kind)"])
    let shape = ImageShape(height: 8, width: 4, channels: 1)
    let vae = VAE(configuration.vae, pixels: shape.count, seed: 1)
    let slice = Slice(
      examples: normal(5, shape.count, seed: 3).sigmoid(), labels: [0, 2, 1, 1, 0], rows: 0..<5,
      batch: 5, seed: 8, step: 2)
    func errors<Network: ConfiguredDenoiser>(_: Network.Type) throws -> [String: Double] {
      let network = Network(configuration, shape: shape).shaken(0.1)
      return worstGradientError(
        try DiffusionObjective<Network>(configuration, vae: vae), network, slice)
    }
    let errors = try errors(configuration.denoiser.kind.network)
    #expect(errors.keys.count { $0.contains("time.condition") } == 2)
    for (name, error) in errors { #expect(error < 5e-3, "\(name)") }
  }

  /// Says 0.3 x + 0.2 x̂0 + the sum of what it sees with the time.
  private struct Sum: Denoiser {
    func forward(
      _ x: Matrix, condition: Condition, timesteps: [Double], dropout: Dropout?
    ) -> (output: Matrix, residuals: Int) {
      var output = x.affine(0.3, 0)
      if let image = condition.image { output.add(0.2, image) }
      if let features = condition.features {
        let sums = (0..<x.rows).map { row in
          features.rows(row..<row + 1).elements.reduce(0, +)
        }
        output.scaleRows(
          [Float](repeating: 1, count: x.rows), adding: sums,
          Matrix(x.rows, x.columns, fill: 1))
      }
      return (output, 0)
    }
    func backward(_ dOutput: Matrix, _ residuals: Int, _ gradients: inout Gradients) {}
    mutating func visit(
      _ path: String, _ body: (String, inout Parameter) throws -> Void
    ) rethrows {}
  }

  @Test(
    "Guidance goes away from the estimate without what training withholds",
    arguments: Formulation.allCases)
  func guided(formulation: Formulation) throws {
    var settings = try small(Self.everything).diffusion
    (settings.formulation, settings.condition) = (formulation, formulation != .unconditional)
    (settings.target, settings.clip) = (.original, false)
    let process = try DiffusionProcess(settings)
    let known = Known(
      reconstruction: formulation == .unconditional ? nil : normal(3, 6, seed: 1),
      z: normal(3, 4, seed: 2), labels: [0, 1, 2])
    let (y, level, w) = (normal(3, 6, seed: 3), process.schedule.level(30), 1.5)
    let with = try process.denoise(y, at: level, Sum(), known)
    // All three flags are up, and nothing else is seen.
    let without = y.affine(0.3, 3)
    let found = try process.denoise(y, at: level, Sum(), known, guidance: w)
    #expect(distance(found, .combine(1 + w, with, -w, without)) < 1e-5)
    #expect(distance(found, with) > 0.1)
    #expect(try process.denoise(y, at: level, Sum(), known, guidance: 0) == with)
  }

  private static let shape = ImageShape(height: 6, width: 5, channels: 1)

  private func generator(
    _ settings: [String], _ change: (inout SamplingOptions) -> Void = { _ in }
  ) throws -> Generator {
    let configuration = try small(settings)
    let model = try Model(
      configuration, shape: Self.shape,
      vae: VAE(configuration.vae, pixels: Self.shape.count, seed: 1).shaken(0.2),
      denoiser: MLPDenoiser(configuration, shape: Self.shape).shaken(0.1))
    var options = SamplingOptions(configuration.sampling, threads: 2)
    options.batch = 4
    change(&options)
    return try Generator(model, options)
  }

  @Test("Guidance asks twice, inside of its interval; of weight 0 it changes no bit")
  func sampling() throws {
    let plain = try generator(Self.everything)
    let images = try plain.images(0..<6)
    #expect(plain.evaluations == 5)
    let none = try generator(Self.everything) { ($0.guidanceFrom, $0.guidanceTo) = (0.2, 0.6) }
    #expect(try none.images(0..<6) == images)
    let all = try generator(Self.everything) { $0.guidanceWeight = 2 }
    #expect(distance(try all.images(0..<6), images) > 0.01)
    #expect(all.evaluations == 10)
    // Of the 50 steps those visited are 49, 37, 25, 12 and 0: two of them inside.
    let some = try generator(Self.everything) {
      ($0.guidanceWeight, $0.guidanceFrom, $0.guidanceTo) = (2, 0.2, 0.6)
    }
    _ = try some.images(0..<6)
    #expect(some.evaluations == 7)
  }

  @Test("Labels are asked for in turn, or the one that is chosen")
  func labels() throws {
    let settings = ["vae.classes=3", "diffusion.classes=3"]
    let inTurn = try generator(settings).drafts([0, 1, 2, 3, 7]).map(\.label)
    #expect(inTurn == [0, 1, 2, 0, 1])
    let chosen = try generator(settings) { $0.label = 2 }
    #expect(try chosen.drafts([0, 5]).map(\.label) == [2, 2])
    let (a, b) = (try generator(settings).images(0..<3), try chosen.images(0..<3))
    #expect(a.rows(2..<3) == b.rows(2..<3) && a.rows(0..<1) != b.rows(0..<1))
  }

  @Test("Labels and guidance that a model does not know are refused")
  func refusals() throws {
    #expect(
      problem { try generator([]) { $0.label = 0 } }
        == "the run's model has no classes, and so no label to ask for")
    for label in [-1, 3] {
      #expect(
        problem { try generator(["vae.classes=3", "diffusion.classes=3"]) { $0.label = label } }
          == "label is \(label); the run's model has classes 0...2")
    }
    #expect(
      problem { try generator([]) { $0.guidanceWeight = 1 } }
        .hasPrefix("guidance takes a model that also knows what to say without its condition"))
    for (name, weight) in [("NaN", Double.nan), ("infinite", .infinity), ("least", -1.1)] {
      #expect(
        problem { try generator(Self.everything) { $0.guidanceWeight = weight } }
          .hasPrefix("guidance is"), "\(name)")
    }
    #expect(
      problem { try generator(Self.everything) { $0.guidanceFrom = .nan } }
        .hasPrefix("guidance_from is nan"))
    #expect(
      problem {
        try generator(Self.everything) { ($0.guidanceFrom, $0.guidanceTo) = (0.5, 0.25) }
      } == "guidance_from is 0.5, more than guidance_to, 0.25")
    #expect(
      problem {
        try generator(Self.everything) { ($0.sampler, $0.guidanceWeight) = (.consistency, 1) }
      } == "guidance is for samplers other than consistency: take guidance 0")
  }

  @Test("A set without labels, or with more than a model has, is refused before training")
  func sets() throws {
    let digits = try Dataset(DataSettings())
    try small("vae.classes=10").checkLabels(digits)
    #expect(
      problem { try small("vae.classes=9", "diffusion.classes=9").checkLabels(digits) }
        == "digits: has a label 9, and the configuration is of 9 classes only")
    let unlabelled = try Dataset(DataSettings(set: "gaussian"))
    #expect(
      problem {
        try small("diffusion.formulation=none", "diffusion.classes=2").checkLabels(unlabelled)
      }
        == "gaussian: has no labels, and the configuration is of 2 classes")
  }

  @Test("After training with labels, the right ones lower the loss")
  func learns() throws {
    let configuration = try small(
      "diffusion.formulation=none", "diffusion.classes=10", "diffusion.drop_label=0.2",
      "denoiser.width=64", "training.denoiser.steps=300", "training.denoiser.rate=3e-3",
      "training.denoiser.warmup=10")
    let digits = try Dataset(configuration.data)
    let objective = try DiffusionObjective<MLPDenoiser>(configuration, vae: nil)
    var trainer = try Trainer(
      objective, MLPDenoiser(configuration, shape: digits.shape), examples: digits.training,
      settings: configuration.training.denoiser, lanes: 2, seed: 1, threads: 2)
    while !trainer.isFinished { _ = try trainer.advance() }
    var images = try #require(digits.test)
    let right = try trainer.evaluate(on: images)[0]
    images.labels = images.labels.map { $0.map { ($0 + 5) % 10 } }
    let wrong = try trainer.evaluate(on: images)[0]
    images.labels = nil
    let none = try trainer.evaluate(on: images)[0]
    #expect(right < 0.98 * wrong && right < none, "\(right), \(wrong), \(none)")
  }

  @Test(
    "A VAE that is told the label: derivatives agree with finite differences, and the label decides",
    arguments: [
      ["vae.samples=1"], ["vae.samples=3", "vae.objective=iwae"], ["vae.upper_latents=[2]"],
    ])
  func conditionalVAE(settings: [String]) throws {
    let configuration = try small(settings + ["vae.classes=3"])
    let vae = VAE(configuration.vae, pixels: 32, seed: 1).shaken(0.1)
    #expect(vae.latent == 4 && vae.encoder.inputs == 35 && vae.decoder.inputs == 7)
    let slice = Slice(
      examples: normal(5, 32, seed: 3).sigmoid(), labels: [0, 2, 1, 1, 0], rows: 0..<5, batch: 5,
      seed: 8, step: 2)
    for (name, error) in worstGradientError(VAEObjective(configuration.vae), vae, slice) {
      #expect(error < 5e-3, "\(name)")
    }
    let z = normal(2, 4, seed: 5)
    let (a, b) = (vae.decode(z, labels: [0, 1]), vae.decode(z, labels: [0, 2]))
    #expect(a.rows(0..<1) == b.rows(0..<1) && a.rows(1..<2) != b.rows(1..<2))
  }
}
