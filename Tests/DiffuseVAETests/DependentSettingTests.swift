import Testing

@testable import DiffuseVAE

/// Settings whose default follows another setting, or that replace one another.
@Suite struct DependentSettingTests {
  @Test func conditionFollowsTheFormulation() throws {
    for formulation in DiffusionSettings.Formulation.allCases {
      let text = "diffusion: {formulation: \(formulation.rawValue)}"
      let diffusion = try Configuration(yaml: text, name: "a.yaml").diffusion
      #expect(diffusion.formulation == formulation)
      #expect(diffusion.condition == (formulation != .unconditional))
    }
    let text = "diffusion: {formulation: centred, condition: false}"
    #expect(try !Configuration(yaml: text, name: "a.yaml").diffusion.condition)
  }

  @Test func theLaterOfEpochsAndStepsHolds() throws {
    let text = "training: {vae: {steps: 100}}"
    let vae = try Configuration(yaml: text, name: "a.yaml").training.vae
    #expect(vae.epochs == nil && vae.steps == 100)

    let epochs = try Configuration(
      yaml: text, name: "a.yaml", overriding: ["training.vae.epochs=3"]
    ).training
    #expect(epochs.vae.epochs == 3 && epochs.vae.steps == nil)
    #expect(epochs.denoiser.epochs == 20)

    let again = try Configuration(
      yaml: Configuration().yaml, name: "a.yaml", overriding: ["training.denoiser.steps=7"]
    ).training.denoiser
    #expect(again.epochs == nil && again.steps == 7)
  }

  @Test func theEmbeddingFollowsTheKindUnlessGiven() throws {
    func embedding(_ settings: String...) throws -> Int {
      try Configuration(yaml: "", name: "a.yaml", overriding: settings).denoiser.embedding
    }
    #expect(try embedding() == 256)
    #expect(try embedding("denoiser.kind=unet") == 128)
    #expect(try embedding("denoiser={kind: unet, embedding: 40}") == 40)
    #expect(try embedding("denoiser.embedding=256", "denoiser.kind=unet") == 256)
    #expect(try embedding("denoiser.kind=unet", "denoiser.kind=mlp") == 256)
  }

  @Test func gammaFollowsTheLossUnlessGiven() throws {
    func gamma(_ settings: String...) throws -> Double {
      try Configuration(yaml: "", name: "a.yaml", overriding: settings).diffusion.gamma
    }
    #expect(try gamma() == 5)
    #expect(try gamma("diffusion.loss=min-snr") == 5)
    #expect(try gamma("diffusion.loss=p2") == 1)
    #expect(try gamma("diffusion={loss: p2, gamma: 0.5}") == 0.5)
    #expect(try gamma("diffusion.loss=p2", "diffusion.loss=vlb") == 5)
  }
}
