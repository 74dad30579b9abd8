import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct DivergenceTests {
  /// An objective whose loss, or whose gradient, is not finite at some steps.
  private struct Faulty: Objective {
    enum Fault: CaseIterable { case loss, gradient, overflow }

    let base: VAEObjective
    let faults: [Int: Fault]

    struct Residuals: Sendable {
      let base: VAEObjective.Residuals
      let fault: Fault?
    }

    var terms: [String] { base.terms }

    func forward(_ network: VAE, _ slice: Slice) -> (terms: [Double], residuals: Residuals) {
      let fault = slice.isTraining ? faults[slice.step] : nil
      var (terms, residuals) = base.forward(network, slice)
      if fault == .loss { terms[0] = .nan }
      return (terms, Residuals(base: residuals, fault: fault))
    }

    func backward(
      _ network: VAE, _ residuals: consuming Residuals, _ gradients: inout Gradients
    ) {
      let fault = residuals.fault
      base.backward(network, residuals.base, &gradients)
      network.forEachParameter { name, parameter in
        guard let fault, name == "decoder.0.bias" else { return }
        let value = gradients[parameter].value
        gradients[parameter].add(
          Matrix(value.rows, value.columns, fill: fault == .overflow ? .infinity : .nan))
      }
    }
  }

  private func train(
    _ run: Run, _ configuration: Configuration, faults: [Int: Faulty.Fault], from vae: VAE? = nil,
    time: Duration? = nil
  ) throws -> Bool {
    let training = Training(
      run, configuration, data: try Dataset(configuration.data), threads: 1, logger: .silent,
      time: time)
    try run.makeFolders()
    let first = vae ?? VAE(configuration.vae, pixels: 64, seed: 1)
    var trainer = try training.trainer(
      Faulty(base: VAEObjective(configuration.vae), faults: faults), first, .vae,
      on: training.data.training)
    return try training.train(&trainer, .vae, test: nil) {
      try Model(configuration, shape: training.data.shape, vae: $0, denoiser: nil)
    }
  }

  private func configuration(_ policy: String) throws -> Configuration {
    try small(
      "training.vae.steps=12", "training.grids=0", "training.checkpoint_steps=1",
      "training.on_nonfinite=\(policy)")
  }

  private func isFinite(_ path: String) throws -> Bool {
    try SafeTensors.read(path).tensors.values.allSatisfy { $0.elements.allSatisfy(\.isFinite) }
  }

  @Test(
    "A number that is not finite stops training at its step, and is in no checkpoint",
    arguments: 0..<100)
  func stops(seed: UInt64) throws {
    var chance = SequentialRandom(RandomStream(seed: seed, purpose: .latent))
    let step = Int.random(in: 0..<12, using: &chance)
    let fault = try #require(Faulty.Fault.allCases.randomElement(using: &chance))
    try inTemporaryFolder { runs in
      let configuration = try configuration("stop")
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      let error = problem { try train(run, configuration, faults: [step: fault]) }
      #expect(error.hasPrefix("training diverged at step \(step): "), "\(error)")
      #expect(!run.isFinished(.vae))
      for path in run.stateFiles(.vae) where run.has(path) {
        #expect(try isFinite(path))
      }
      let state = try SafeTensors.read(run.stateFile(.vae))
      #expect(state.metadata["step"] == String(step))

      // Without the fault it goes on as if there had been none.
      #expect(try train(run, configuration, faults: [:]))
      let other = try Run.create(in: runs, name: "b", stem: "b", configuration)
      #expect(try train(other, configuration, faults: [:]))
      #expect(try File.read(run.weightsFile(.vae)) == File.read(other.weightsFile(.vae)))
    }
  }

  /// A trainer of what ``train(_:_:faults:from:time:)`` trains.
  private func trainer(_ configuration: Configuration) throws -> Trainer<VAEObjective> {
    try Trainer(
      VAEObjective(configuration.vae), VAE(configuration.vae, pixels: 64, seed: 1),
      examples: Dataset(configuration.data).training, settings: configuration.training.vae,
      lanes: configuration.training.lanes, seed: Stage.vae.seed(0), threads: 1)
  }

  private func expect(_ run: Run, hasWeightsOf trainer: Trainer<VAEObjective>) throws {
    let file = try SafeTensors.read(run.weightsFile(.vae))
    trainer.network.averaged.forEachParameter { name, parameter in
      #expect(file.tensors[name]?.elements == parameter.value.elements, "\(name)")
    }
  }

  @Test("Skipping leaves the update out, and no other")
  func skips() throws {
    try inTemporaryFolder { runs in
      let configuration = try configuration("skip")
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      #expect(try train(run, configuration, faults: [3: .loss, 7: .gradient, 8: .overflow]))
      var trainer = try trainer(configuration)
      for step in 0..<12 {
        if [3, 7, 8].contains(step) { trainer.skip() } else { _ = try trainer.advance() }
      }
      try expect(run, hasWeightsOf: trainer)
    }
  }

  @Test("Rolling back takes the weights of the last checkpoint and goes on with the next batch")
  func rollsBack() throws {
    try inTemporaryFolder { runs in
      var configuration = try configuration("rollback")
      configuration.training.checkpointSteps = 4
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      #expect(try train(run, configuration, faults: [6: .loss]))
      var trainer = try trainer(configuration)
      while trainer.step < 4 { _ = try trainer.advance() }
      for _ in 4..<7 { trainer.skip() }  // Two that were made and lost, and the one that failed.
      while !trainer.isFinished { _ = try trainer.advance() }
      try expect(run, hasWeightsOf: trainer)
    }
  }

  @Test("Weights that are not finite are never written, and ten failures in a row are the end")
  func ends() throws {
    try inTemporaryFolder { runs in
      var configuration = try configuration("skip")
      let faults = Dictionary(uniqueKeysWithValues: (0..<12).map { ($0, Faulty.Fault.loss) })
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      let error = problem { try train(run, configuration, faults: faults) }
      #expect(error.hasPrefix("training diverged at step 9: the loss is nan"), "\(error)")

      // One update at this rate is finite, and leads to weights that are not.
      configuration.training.vae.weightDecay = 1
      configuration.training.vae.rate = 1
      var vae = VAE(configuration.vae, pixels: 64, seed: 1)
      vae.visitParameters { name, parameter in
        guard name == "encoder.0.bias" else { return }
        parameter.visitArrays { if $0 == "moment1" { $1.elements[0] = .infinity } }
      }
      let other = try Run.create(in: runs, name: "b", stem: "b", configuration)
      let lost = problem { try train(other, configuration, faults: [:], from: vae) }
      #expect(lost.contains("weights are not finite"), "\(lost)")
      #expect(!other.has(other.stateFile(.vae)) && !other.isFinished(.vae))
    }
  }

  @Test("Who is asked to stop while an update is left out still writes a checkpoint")
  func stopsWhileSkipping() throws {
    try inTemporaryFolder { runs in
      var configuration = try configuration("skip")
      configuration.training.checkpointSteps = nil
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      #expect(try !train(run, configuration, faults: [0: .loss], time: .zero))
      #expect(try SafeTensors.read(run.stateFile(.vae)).metadata["step"] == "1")
    }
  }

  /// From moments of nothing Adam's first update is `rate · sign(gradient)` for every weight, whatever the
  /// gradient is (Kingma & Ba 2014, §2.1): that is so only if it counts updates, and not steps.
  @Test("Updates that were taken back are none to the optimizer, also after going on")
  func countsUpdates() throws {
    try inTemporaryFolder { runs in
      let configuration = try configuration("rollback")
      let run = try Run.create(in: runs, name: "a", stem: "a", configuration)
      let training = Training(
        run, configuration, data: try Dataset(configuration.data), threads: 1, logger: .silent)
      try run.makeFolders()
      func trainer() throws -> Trainer<VAEObjective> {
        try training.trainer(
          VAEObjective(configuration.vae), VAE(configuration.vae, pixels: 64, seed: 1), .vae,
          on: training.data.training)
      }
      var first = try trainer()
      try training.checkpoint(first, .vae)
      for _ in 0..<5 { _ = try first.advance() }
      try training.rollBack(&first, .vae)
      first.skip()
      try training.checkpoint(first, .vae)

      for var trainer in [first, try trainer()] {
        #expect(trainer.step == 6)
        let before = trainer.network.parameters
        let rate = try Float(trainer.advance().rate)
        var counts = (moved: 0, all: 0)
        for (name, value) in trainer.network.parameters where name.hasSuffix("/value") {
          let old = try #require(before[name])
          for (a, b) in zip(value.elements, old.elements) where a != b {
            counts.all += 1
            #expect(abs(a - b) < 1.001 * rate)
            // Gradients near ε move less.
            if abs(abs(a - b) - rate) < 0.01 * rate { counts.moved += 1 }
          }
        }
        #expect(counts.moved > counts.all * 9 / 10 && counts.all > 1000)
      }
    }
  }
}
