import CFaults
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct BestWeightsTests {
  /// Ten looks at 100 images, and a rate that rises until it makes losses larger.
  private func restless(_ settings: String...) throws -> Configuration {
    try small(
      [
        "data.validation=100", "training.grids=10", "training.vae.steps=60",
        "training.vae.rate=0.5", "training.vae.warmup=60", "training.vae.ema=0",
        "training.vae.final_ratio=1", "training.denoiser.steps=20",
      ] + settings)
  }

  @Test(
    "Images that are held out are as many as are asked for, of all classes, and in no other part")
  func held() throws {
    let whole = try Dataset(DataSettings())
    var settings = DataSettings()
    settings.validation = 300
    let data = try Dataset(settings)
    let held = try #require(data.validation)
    func image(_ images: ByteImages, _ number: Int) -> [UInt8] {
      Array(images.bytes[number * 64..<(number + 1) * 64])
    }
    #expect(held.count == 300 && data.training.count == 1200)
    // Either part is in the order of the whole: together they are it, merged.
    var (taken, left) = (0, 0)
    for number in 0..<1500 {
      let (bytes, label) = (image(whole.training, number), whole.training.labels?[number])
      if taken < 300, image(held, taken) == bytes, held.labels?[taken] == label {
        taken += 1
      } else {
        #expect(image(data.training, left) == bytes && data.training.labels?[left] == label)
        left += 1
      }
    }
    #expect(taken == 300 && left == 1200)
    // Of a class there are 30 on average, with a deviation of 4.6.
    for label in 0..<10 {
      let count = held.labels?.count { $0 == label } ?? 0
      #expect((30 - 23)...(30 + 23) ~= count, "\(count) of class \(label)")
    }
    #expect(try Dataset(settings).validation?.bytes == held.bytes)
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
      // What the run is said to have come to is of these weights, too.
      let outcome = try Metrics.outcome(Metrics.entries(of: run), of: .vae)
      #expect(outcome["validation_loss"] == best.loss && outcome["step"] == 60)
      let test = try #require(data.test)
      #expect(try outcome["test_loss"] == trainer.evaluate(on: test, by: best.network)[0])
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

  @Test("Whichever write fails, a training that goes on chooses the same weights")
  func faults() throws {
    let configuration = try restless("training.vae.steps=8", "training.grids=4")
    let data = try Dataset(configuration.data)
    try inTemporaryFolder { runs in
      func train(_ run: Run) throws -> [UInt8] {
        #expect(
          try Training(run, configuration, data: data, threads: 1, logger: .silent).train([.vae]))
        return try File.read(run.weightsFile(.vae))
      }
      func new(_ name: String) throws -> Run {
        try Run.create(in: runs, name: name, stem: name, configuration)
      }
      let expected = try train(new("whole"))
      for call in 1...10_000 {
        let run = try new("\(call)")
        faults_begin("write", Int32(call), ENOSPC)
        let problem = problem { try train(run) }
        guard faults_end() != 0 else {
          // Lines of metrics, and files of ten kinds.
          #expect(call > 30)
          return
        }
        // What is told to a terminal may be lost.
        #expect(problem.contains("No space left") || problem == "no error", "\(call)")
        #expect(try train(run) == expected, "\(call): \(problem)")
      }
    }
  }

  @Test("An earlier training's best weights are not taken where nothing is held out any more")
  func stale() throws {
    try inTemporaryFolder { runs in
      let expected = try trainedRun(in: runs, name: "new", small())
      let run = try Run.create(in: runs, name: "a", stem: "a", small())
      try run.makeFolders()
      let data = try Dataset(run.configuration().data)
      let training = Training(
        run, try run.configuration(), data: data, threads: 1, logger: .silent)
      try training.keep(VAE(small().vae, pixels: 64, seed: 9), .vae, loss: -1e9, step: 6)
      #expect(try training.train([.vae]))
      #expect(try File.read(run.weightsFile(.vae)) == File.read(expected.weightsFile(.vae)))
      #expect(!run.has(run.bestFile(.vae)))
    }
  }

  @Test("Where images are held out there are looks at them, also of a set of one's own")
  func own() throws {
    let configuration = try small("training.grids=0")
    let pixels = Matrix(20, 64, fill: 0.5)
    let shape = ImageShape(height: 8, width: 8, channels: 1)
    let data = try Dataset(name: "own", shape: shape, training: pixels, validation: 5)
    #expect(data.training.count == 15 && data.validation?.count == 5)
    try inTemporaryFolder { runs in
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      let training = Training(run, configuration, data: data, threads: 1, logger: .silent)
      #expect(
        problem { try training.train([.vae]) }
          == "own: training.grids must be at least 1 where images are held out")
    }
    let unconditional = try small("diffusion.formulation=none")
    #expect(
      problem {
        try Model(
          training: MLPDenoiser(
            unconditional.denoiser, pixels: 64, conditional: false, timesteps: 50, seed: 1),
          unconditional, on: data, threads: 1)
      } == "own: no images can be held out here, where the last weights are taken")
  }

  @Test("Kept weights that are damaged are not overlooked, and of an earlier training not taken")
  func damaged() throws {
    try inTemporaryFolder { runs in
      let configuration = try restless()
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      let training = Training(
        run, configuration, data: try Dataset(configuration.data), threads: 1, logger: .silent)
      #expect(try training.leastLoss(of: .vae) == .infinity)
      var network = VAE(configuration.vae, pixels: 64, seed: 1)
      try training.keep(network, .vae, loss: 0.1 + 0.2, step: 5)
      #expect(try training.leastLoss(of: .vae) == 0.1 + 0.2)
      var copy = network.shaken(1)
      #expect(try training.takeBest(&copy, .vae) == 5)
      #expect(
        Weights.file(of: copy, metadata: [:]) == Weights.file(of: network, metadata: [:]))
      network.visitParameters { $1.value.scale(.nan) }
      #expect(problem { try training.keep(network, .vae, loss: 0, step: 6) }.contains("not finite"))
      #expect(try training.leastLoss(of: .vae) == 0.1 + 0.2)
      let remedy = "; remove it to go on without: then the best of what follows is kept"
      for metadata in [
        [:], ["step": "0", "validation_loss": "1"], ["step": "1"],
        ["step": "1", "validation_loss": "nan"],
      ] {
        try Weights.file(of: copy, metadata: metadata).write(to: run.bestFile(.vae))
        #expect(
          problem { try training.leastLoss(of: .vae) }
            == "\(run.bestFile(.vae)): does not say of which step, and of which validation loss, it is"
            + remedy)
      }
      try File.writeAtomically([1, 2, 3], to: run.bestFile(.vae))
      #expect(problem { try training.takeBest(&copy, .vae) }.hasSuffix(remedy))
      try run.remove(run.bestFile(.vae))
      #expect(try training.takeBest(&copy, .vae) == nil)
    }
  }
}
