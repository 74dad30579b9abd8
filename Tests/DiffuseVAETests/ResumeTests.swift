import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

/// What a checkpoint holds is all that the next update depends on: from that of every step of a stage one
/// update leads to the bits of the next, and so, step by step, all of them to the end.
@Suite struct ResumeTests {
  private static let steps = 200

  @Test(
    "From every step's checkpoint the next update has the same bits",
    arguments: [Stage.vae, .prior, .denoiser, .consistency], [1, 2, 4])
  func everyStep(stage: Stage, threads: Int) throws {
    let configuration = try small("training.lanes=4", "denoiser.dropout=0.3")
    let digits = try Dataset(configuration.data)
    let vae = VAE(configuration.vae, pixels: 64, seed: 1)
    let network = MLPDenoiser(
      configuration.denoiser, pixels: 64, conditional: true, timesteps: 50, seed: 1)
    var objective = DiffusionObjective<MLPDenoiser>(
      process: try DiffusionProcess(configuration.diffusion), vae: vae, dropout: 0.3)
    switch stage {
    case .vae:
      try check(
        VAEObjective(configuration.vae), vae, stage, digits.training, configuration, threads)
    case .prior:
      let latents = MLPDenoiser(
        configuration.denoiser, pixels: 4, conditional: false, timesteps: 50, seed: 1)
      try check(
        LatentObjective(schedule: objective.process.schedule), latents, stage,
        vae.encode(digits.training.pixels(0..<digits.training.count), labels: nil), configuration,
        threads)
    case .denoiser:
      // With a memory of its own.
      objective.times = .importance(TimestepImportance(steps: 50))
      try check(objective, network, stage, digits.training, configuration, threads)
    case .consistency:
      try check(
        ConsistencyObjective(objective, teacher: network, levels: 10), network.shaken(0.01), stage,
        digits.training, configuration, threads)
    }
  }

  /// The digests of states are those of one thread, for any number.
  private func check<Goal: Objective>(
    _ objective: Goal, _ first: Goal.Network, _ stage: Stage, _ examples: some Examples,
    _ configuration: Configuration, _ threads: Int
  ) throws {
    var settings = configuration.settings(of: stage)
    (settings.epochs, settings.steps, settings.batch) = (nil, Self.steps, 32)
    func trainer(
      _ network: Goal.Network, _ memory: Matrix?, step: Int, threads: Int
    ) throws -> Trainer<Goal> {
      var objective = objective
      objective.memory = memory
      return try Trainer(
        objective, network, examples: examples, settings: settings,
        lanes: configuration.training.lanes, seed: 7, threads: threads, step: step)
    }
    func state(_ trainer: Trainer<Goal>) -> [UInt8] {
      Weights.state(
        of: trainer.network, memory: trainer.objective.memory, step: trainer.step,
        configuration: configuration
      ).encoded()
    }
    var whole = try trainer(first, objective.memory, step: 0, threads: 1)
    var bytes = state(whole)
    while !whole.isFinished {
      // From the bytes of the checkpoint alone.
      var (network, memory) = (first.shaken(1), objective.memory)
      let step = try Weights.decodeState(
        SafeTensors(decoding: bytes, file: "state"), into: &network, &memory,
        configuration: configuration, path: "state")
      #expect(step == whole.step)
      var resumed = try trainer(network, memory, step: step, threads: threads)
      _ = try resumed.advance()
      _ = try whole.advance()
      bytes = state(whole)
      #expect(state(resumed) == bytes, "step \(step)")
    }
    #expect(whole.step == Self.steps)
  }
}
