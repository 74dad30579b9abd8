import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct JointTests {
  private static let shape = ImageShape(height: 8, width: 4, channels: 2)

  private func slice(step: Int = 4, isTraining: Bool = true) -> Slice {
    Slice(
      examples: normal(3, Self.shape.count, seed: 3).sigmoid(), labels: [2, 0, 1], rows: 0..<3,
      batch: 3, seed: 8, step: step, isTraining: isTraining)
  }

  private func both<Network: LearnedDenoiser>(
    _ configuration: Configuration, _: Network.Type
  ) -> BothNetworks<Network> {
    BothNetworks(
      VAE(configuration.vae, pixels: Self.shape.count, seed: 1).shaken(0.1),
      Network(configuration, shape: Self.shape).shaken(0.1))
  }

  @Test(
    "Derivatives agree with finite differences, what goes through x̂0 into the VAE among them",
    arguments: [
      ["diffusion.formulation=concat"],
      ["diffusion.formulation=concat", "vae.likelihood=gaussian"],
      ["diffusion.formulation=centred", "vae.classes=3", "diffusion.classes=3"],
      ["diffusion.formulation=centred", "diffusion.condition=false", "vae.upper_latents=[2]"],
    ])
  func gradients(settings: [String]) throws {
    let configuration = try small(
      ["training.plan=joint", "diffusion.condition_noise=0.3", "diffusion.drop_reconstruction=0.4"]
        + settings)
    try gradients(configuration, MLPDenoiser.self)
    try gradients(configuration, UNetDenoiser.self)
  }

  private func gradients<Network: LearnedDenoiser>(
    _ configuration: Configuration, _: Network.Type
  ) throws {
    let objective = try JointObjective<Network>(configuration)
    let (both, slice) = (both(configuration, Network.self), slice(step: 4))
    // x̂0 is shown of some images and withheld of others.
    let shown = try #require(objective.second.withheld(of: slice)).map {
      !$0.contains(.reconstruction)
    }
    #expect(Set(shown).count == 2)
    for (name, error) in worstGradientError(objective, both, slice) {
      #expect(error < 5e-3, "\(name)")
    }
    // They are not those of the ELBO alone.
    var (gradients, alone) = (Gradients(of: both), Gradients(of: both.vae))
    objective.backward(both, objective.forward(both, slice).residuals, &gradients)
    let first = objective.first
    first.backward(
      both.vae, first.forward(both.vae, slice).residuals, weight: 1 / Double(Self.shape.count),
      plus: nil, &alone)
    both.vae.forEachParameter { name, parameter in
      if name.hasPrefix("encoder") || name.hasPrefix("decoder") {
        let (a, b) = (gradients[parameter].value, alone[parameter].value)
        #expect(distance(a, b) > 1e-4 * Float(b.squaredNorm.squareRoot()), "\(name)")
      }
    }
  }

  @Test("Its loss is that of stage two by the same draws of z, and the ELBO in nats a pixel")
  func loss() throws {
    let configuration = try small("training.plan=joint")
    let both = both(configuration, MLPDenoiser.self)
    let slice = slice(isTraining: false)
    let (terms, _) = try JointObjective<MLPDenoiser>(configuration).forward(both, slice)
    let alone = try DiffusionObjective<MLPDenoiser>(configuration, vae: both.vae)
      .forward(both.denoiser, slice).terms
    let elbo = VAEObjective(configuration.vae).forward(both.vae, slice).terms
    #expect(abs(terms[1] - alone[0]) < 1e-6 * alone[0])
    #expect(Array(terms.suffix(2)) == Array(elbo.suffix(2)))
    #expect(abs(terms[0] - alone[0] - elbo[0] / 64) < 1e-6 * terms[0])
  }

  @Test("In turn, an update leaves everything of the other network as it is")
  func turns() throws {
    let configuration = try small("training.plan=alternating", "training.denoiser.warmup=0")
    let digits = try Dataset(configuration.data)
    var trainer = try Trainer(
      JointObjective<MLPDenoiser>(configuration),
      BothNetworks(
        VAE(configuration.vae, pixels: 64, seed: 1),
        MLPDenoiser(configuration, shape: digits.shape)),
      examples: digits.training, settings: configuration.training.denoiser, lanes: 2, seed: 3,
      threads: 2)
    for moving in ["vae", "denoiser", "vae", "denoiser"] {
      let before = trainer.network.parameters
      _ = try trainer.advance()
      let changed = trainer.network.parameters.filter { $1 != before[$0] }.keys
      #expect(!changed.isEmpty && changed.allSatisfy { $0.hasPrefix(moving + ".") })
    }
  }

  @Test(
    "Both networks are trained, written, and drawn from, the prior is fitted",
    arguments: ["joint", "alternating"])
  func run(plan: String) throws {
    let configuration = try small(
      "training.plan=\(plan)", "training.denoiser.steps=7", "training.denoiser.warmup=0")
    try inTemporaryFolder { runs in
      let whole = try trainedRun(in: runs, configuration)
      for stage in [Stage.vae, .prior, .denoiser] { #expect(whole.isFinished(stage)) }
      #expect(whole.isComplete && !whole.has(whole.stateFile(.vae)))
      let model = try Model(of: whole)
      let first = VAE(
        configuration.vae, pixels: 64, seed: Stage.vae.seed(configuration.training.seed))
      #expect(try #require(model.vae).parameters != first.parameters)
      #expect(try generator(model).images(0..<3).isFinite)
      let networks = try [
        #require(model.vae).parameterCount, #require(model.denoiser).parameterCount,
      ]
      let estimate = try Estimate(
        configuration, data: Dataset(configuration.data), stages: configuration.stages, threads: 1)
      #expect(estimate.parts.map(\.title) == ["both stages"])
      #expect(estimate.parts.map(\.parameters) == [networks[0] + networks[1]])
    }
  }

  @Test("What cannot be trained together is refused")
  func refusals() throws {
    for setting in [
      "diffusion.formulation=residual", "diffusion.formulation=none", "vae.samples=2",
      "diffusion.condition_latent=true", "vae.binarise=dynamic",
    ] {
      #expect(
        problem { try small("training.plan=joint", setting) }.contains("training.plan must be"),
        "\(setting)")
    }
    try inTemporaryFolder { runs in
      let configuration = try small("training.plan=joint")
      let run = try trainedRun(in: runs, configuration)
      try FileManager.default.removeItem(atPath: "\(run.folder)/denoiser.safetensors")
      #expect(
        problem {
          try Training(
            run, configuration, data: Dataset(configuration.data), threads: 1, logger: .silent
          ).train(configuration.stages)
        }.contains("remove vae.safetensors and"))
      var request = TrainingRequest()
      (request.resume, request.runs, request.stage) = ("small", runs, .denoiser)
      #expect(problem { try request.stages(of: configuration) }.contains("leave out --stage"))
    }
  }
}
