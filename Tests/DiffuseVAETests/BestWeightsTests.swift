import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct BestWeightsTests {
  /// Rates so high that losses go up and down, and ten looks at 100 images.
  private func restless(_ settings: String...) throws -> Configuration {
    try small(
      [
        "data.validation=100", "training.grids=10", "training.vae.steps=60",
        "training.vae.rate=0.05", "training.vae.warmup=0", "training.vae.ema=0",
        "training.vae.final_ratio=1", "training.denoiser.steps=20",
      ] + settings)
  }

  @Test("Images that are held out are spread evenly over the set, and in no other part of it")
  func held() throws {
    let whole = try Dataset(DataSettings())
    var settings = DataSettings()
    settings.validation = 300
    let data = try Dataset(settings)
    let held = try #require(data.validation)
    func image(_ images: ByteImages, _ number: Int) -> [UInt8] {
      Array(images.bytes[number * 64..<(number + 1) * 64])
    }
    // Every fifth of 1 500.
    #expect(held.count == 300 && data.training.count == 1200)
    for number in 0..<300 {
      #expect(image(held, number) == image(whole.training, 5 * number))
      #expect(held.labels?[number] == whole.training.labels?[5 * number])
    }
    for number in 0..<1200 {
      let place = 5 * (number / 4) + 1 + number % 4
      #expect(image(data.training, number) == image(whole.training, place))
      #expect(data.training.labels?[number] == whole.training.labels?[place])
    }
    #expect(data.test?.bytes == whole.test?.bytes)
    #expect(data.fingerprint() != whole.fingerprint())
    let all = try Dataset(settings, whole: true)
    #expect(all.training.bytes == whole.training.bytes && all.validation == nil)
    settings.flip = true
    #expect(try Dataset(settings).training.count == 2400)
    #expect(try Dataset(settings).validation?.bytes == held.bytes)
    settings.validation = 1500
    #expect(
      problem { try Dataset(settings) }
        == "data.validation is 1500, and there are 1500 training images of digits")
  }

  @Test("A stage ends with the weights of the least loss on the validation images, not the last")
  func least() throws {
    let configuration = try restless()
    let data = try Dataset(configuration.data)
    let held = try #require(data.validation)
    // The same training by hand.
    var trainer = try Trainer(
      VAEObjective(configuration.vae),
      VAE(configuration.vae, pixels: 64, seed: Stage.vae.seed(configuration.training.seed)),
      examples: data.training, settings: configuration.settings(of: .vae),
      lanes: configuration.training.lanes, seed: Stage.vae.seed(configuration.training.seed),
      threads: 2)
    var looks: [(step: Int, loss: Double, network: VAE)] = []
    while !trainer.isFinished {
      _ = try trainer.advance()
      guard trainer.step.isMultiple(of: 6) else { continue }
      let loss = try trainer.evaluate(on: held)[0]
      looks.append((trainer.step, loss, trainer.network.averaged))
    }
    let best = try #require(looks.min { $0.loss < $1.loss })
    // Else there is nothing to choose.
    try #require(best.step != 60)
    try inTemporaryFolder { runs in
      let run = try trainedRun(in: runs, configuration)
      let file = try SafeTensors.read(run.weightsFile(.vae))
      #expect(file.metadata["step"] == "\(best.step)")
      #expect(file.tensors == Weights.file(of: best.network, metadata: [:]).tensors)
      let losses = try Metrics.entries(of: run).filter { $0.stage == .vae }
        .compactMap { $0.numbers["validation_loss"] }
      #expect(losses == looks.map(\.loss))
      // What was kept on the way is gone.
      #expect(!run.has(run.bestFile(.vae)))
    }
  }

  @Test(
    "A training that stops after every update chooses the same weights, as does one of both stages")
  func resumed() throws {
    for plan in ["two-stage", "joint"] {
      let configuration = try restless(
        "training.plan=\(plan)", "training.grids=4", "training.vae.steps=16",
        "training.denoiser.steps=8", "prior.kind=diffusion",
        "training.prior.steps=4", "training.prior.batch=50")
      try inTemporaryFolder { runs in
        let whole = try trainedRun(in: runs, name: "whole", configuration)
        let run = try Run.create(in: runs, name: "parts", stem: "parts", configuration)
        let data = try Dataset(configuration.data)
        var isFinished = false
        for _ in 0..<200 where !isFinished {
          isFinished = try Training(
            run, configuration, data: data, threads: 1, logger: .silent, time: .zero
          ).train(configuration.stages)
        }
        #expect(isFinished)
        for stage in configuration.stages {
          #expect(
            try File.read(run.weightsFile(stage)) == File.read(whole.weightsFile(stage)),
            "\(plan), \(stage)")
        }
      }
    }
  }

  @Test("Kept weights that are damaged are not overlooked, and of an earlier training not taken")
  func damaged() throws {
    try inTemporaryFolder { runs in
      let configuration = try restless()
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      let training = Training(
        run, configuration, data: try Dataset(configuration.data), threads: 1, logger: .silent)
      #expect(try training.leastLoss(of: .vae, from: 5) == .infinity)
      var network = VAE(configuration.vae, pixels: 64, seed: 1)
      try training.keep(network, .vae, loss: 0.1 + 0.2, step: 5)
      #expect(try training.leastLoss(of: .vae, from: 5) == 0.1 + 0.2)
      var copy = network.shaken(1)
      #expect(try training.takeBest(&copy, .vae) == 5)
      #expect(
        Weights.file(of: copy, metadata: [:]) == Weights.file(of: network, metadata: [:]))
      network.visitParameters { $1.value.scale(.nan) }
      #expect(problem { try training.keep(network, .vae, loss: 0, step: 6) }.contains("not finite"))
      #expect(try training.leastLoss(of: .vae, from: 6) == 0.1 + 0.2)
      for metadata in [
        [:], ["step": "0", "validation_loss": "1"], ["step": "1"],
        ["step": "1", "validation_loss": "nan"],
      ] {
        try Weights.file(of: copy, metadata: metadata).write(to: run.bestFile(.vae))
        #expect(
          problem { try training.leastLoss(of: .vae, from: 6) }
            == "\(run.bestFile(.vae)): does not say of which step, and of which validation loss, it is"
        )
      }
      #expect(try training.leastLoss(of: .vae, from: 0) == .infinity)
      #expect(try training.takeBest(&copy, .vae) == nil)
    }
  }
}
