import Diffusion
import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

/// Training that draws timesteps by their losses, or times between them.
@Suite struct TimestepTests {
  private func configuration(_ timesteps: String) throws -> Configuration {
    try small(
      "diffusion.timesteps=\(timesteps)", "diffusion.formulation=none", "diffusion.steps=20",
      "diffusion.loss=vlb", "training.denoiser.steps=30")
  }

  private func trainer(
    _ configuration: Configuration, threads: Int = 2
  ) throws -> Trainer<DiffusionObjective<MLPDenoiser>> {
    let data = try Dataset(DataSettings())
    return try Trainer(
      DiffusionObjective(configuration, vae: nil), MLPDenoiser(configuration, shape: data.shape),
      examples: data.training, settings: configuration.training.denoiser, lanes: 3, seed: 7,
      threads: threads)
  }

  @Test("The same bits with any number of threads, what is learnt of the losses among them")
  func threads() throws {
    let trained = try (1...3).map { threads in
      var trainer = try trainer(configuration("importance"), threads: threads)
      while !trainer.isFinished { _ = try trainer.advance() }
      #expect(trainer.objective.times.importance?.isKnown == true)
      return trainer
    }
    for other in trained.dropFirst() {
      #expect(other.network.parameters == trained[0].network.parameters)
      #expect(other.objective.times.importance == trained[0].objective.times.importance)
    }
  }

  @Test("Until all timesteps are known training is that by uniform draws, and then another")
  func beginning() throws {
    var (chosen, uniform) = (
      try trainer(configuration("importance")), try trainer(configuration("uniform"))
    )
    while chosen.objective.times.importance?.isKnown == false {
      _ = (try chosen.advance(), try uniform.advance())
      #expect(chosen.network.parameters == uniform.network.parameters)
    }
    // Each of 20 was drawn ten times, of 50 an update.
    #expect((4..<20).contains(chosen.step) && uniform.objective.memory == nil)
    _ = (try chosen.advance(), try uniform.advance())
    #expect(chosen.network.parameters != uniform.network.parameters)
  }

  @Test("It learns the weighted loss of each timestep, and draws by it; evaluation stays uniform")
  func losses() throws {
    let configuration = try configuration("importance")
    let process = try DiffusionProcess(configuration.diffusion)
    let rows = 600
    let examples = normal(rows, 12, seed: 3).sigmoid()
    func slice(step: Int, isTraining: Bool = true) -> Slice {
      Slice(
        examples: examples, rows: 0..<rows, batch: rows, seed: 8, step: step,
        isTraining: isTraining)
    }
    /// The target's value at a slice's own draws, and an error of 0.3 in all of it.
    func wrong(_ slice: Slice, _ timesteps: [Int]) -> ModelTests.Oracle {
      let noise = slice.stream(.diffusionNoise).normal(rows: slice.rows, columns: 12)
      let target = process.goal(
        examples.affine(2, -1), noise: noise, levels: timesteps.map(process.schedule.level))
      return ModelTests.Oracle(output: target.affine(1, 0.3))
    }
    var objective = try DiffusionObjective<ModelTests.Oracle>(configuration, vae: nil)
    let first = slice(step: 2)
    let uniform = first.stream(.timestep).integers(rows: first.rows, below: 20)
    let found = objective.losses(objective.forward(wrong(first, uniform), first).residuals)
    #expect(found.map(\.timestep) == uniform)
    for row in found {
      let expected = 0.09 * process.lossWeights[row.timestep]
      #expect(abs(row.loss - expected) < 1e-5 * expected)
    }
    objective.learn(found)
    let importance = try #require(objective.times.importance)
    #expect(importance.isKnown)

    // Losses are exactly as large as was learnt: every draw's, over T p_t, is the mean over t.
    let second = slice(step: 3)
    let bound = Int(UInt32.max)
    let drawn = second.stream(.timestep).integers(rows: second.rows, below: bound).map {
      importance.timestep(at: Double($0) / Double(bound))
    }
    let (terms, residuals) = objective.forward(wrong(second, drawn), second)
    let mean = 0.09 * process.lossWeights.reduce(0, +) / 20
    #expect(abs(terms[0] - mean) < 2e-3 * mean, "\(terms[0]), not \(mean)")
    let again = objective.losses(residuals)
    #expect(again.map(\.timestep) == drawn)
    for row in again {
      let expected = 0.09 * process.lossWeights[row.timestep]
      #expect(abs(row.loss - expected) < 1e-5 * expected)
    }
    // Four standard errors of a binomial share.
    for t in 0..<20 {
      let (p, n) = (importance.probability(of: t), Double(rows))
      let error = (p * (1 - p) / n).squareRoot()
      #expect(abs(Double(drawn.count { $0 == t }) / n - p) < 4 * error + 1 / n, "t = \(t)")
    }

    let held = slice(step: -1, isTraining: false)
    let known = objective.forward(wrong(held, uniform), held).terms
    objective.times = .uniform
    #expect(known == objective.forward(wrong(held, uniform), held).terms)
  }

  @Test("In continuous time: the same bits with any number of threads")
  func continuousThreads() throws {
    let trained = try (1...2).map { threads in
      var trainer = try trainer(configuration("continuous"), threads: threads)
      while !trainer.isFinished { _ = try trainer.advance() }
      return trainer.network.parameters
    }
    let uniform = try trainer(configuration("uniform")).network.parameters
    #expect(trained[0] == trained[1] && trained[0] != uniform)
  }

  @Test(
    "In continuous time the loss of a constant error is its square times the weights' mean over all t",
    arguments: [LossWeight.noise, .original, .variationalBound])
  func continuous(weight: LossWeight) throws {
    var configuration = try configuration("continuous")
    // All weights below the 400 where they are clipped.
    configuration.diffusion.schedule = .sigmoid
    configuration.diffusion.loss = weight
    configuration.diffusion.target = .original
    let process = try DiffusionProcess(configuration.diffusion)
    let (rows, steps) = (2000, 20)
    let examples = normal(rows, 12, seed: 3).sigmoid()
    func slice(_ rows: Range<Int>, isTraining: Bool = true) -> Slice {
      Slice(
        examples: examples.rows(rows), rows: rows, batch: 2000, seed: 8, step: 2,
        isTraining: isTraining)
    }
    /// Wrong by 0.3 everywhere, whatever the time: the target is x0.
    func loss(_ slice: Slice) throws -> Double {
      try DiffusionObjective(configuration, vae: nil)
        .forward(ModelTests.Oracle(output: slice.examples.affine(2, -0.7)), slice).terms[0]
    }
    // τ is linear between two timesteps, and SNR = ((1 - τ)/τ)².
    let shares = (0..<steps).map { process.schedule.level($0).noiseShare }
    func integral(_ tau: Double) -> Double { tau - 2 * log(tau) - 1 / tau }
    let sum: Double =
      switch weight {
      case .noise:
        zip(shares, shares.dropFirst()).reduce(0) {
          $0 + (integral($1.1) - integral($1.0)) / ($1.1 - $1.0)
        }
      case .variationalBound:
        (pow(1 / shares[0] - 1, 2) - pow(1 / shares[steps - 1] - 1, 2)) / 2
      default: Double(steps - 1)
      }
    let mean = sum / Double(steps - 1)
    let found = try loss(slice(0..<rows))
    #expect(abs(found - 0.09 * mean) < 0.01 * 0.09 * mean, "\(found), not \(0.09 * mean)")
    // A slice's share of it is its rows'.
    let parts = try loss(slice(0..<300)) + loss(slice(300..<rows))
    #expect(abs(parts - found) < 1e-6 * found)
    // Evaluation is at the timesteps.
    let held = slice(0..<rows, isTraining: false)
    let timesteps = held.stream(.timestep).integers(rows: held.rows, below: steps)
    let expected =
      timesteps.reduce(0) { sum, t in
        let level = process.schedule.level(t)
        let before = t > 0 ? process.schedule.level(t - 1) : .clean
        return sum + 0.09 * weight.value(at: level, after: before, gamma: 5)
      } / Double(rows)
    #expect(try abs(loss(held) - expected) < 1e-5 * expected)
  }

  @Test("A state without what was learnt, or with another size of it, belongs to another training")
  func states() throws {
    let configuration = try configuration("importance")
    let network = try trainer(configuration).network
    func problem(of written: Matrix?, into known: Matrix?) -> String {
      DiffuseVAETests.problem {
        var (copy, memory) = (network, known)
        let state = Weights.state(
          of: network, memory: written, step: 3, configuration: configuration)
        _ = try Weights.decodeState(
          state, into: &copy, &memory, configuration: configuration, path: "state")
        return memory
      }
    }
    let memory = Matrix(2, 20)
    #expect(problem(of: memory, into: memory) == "no error")
    #expect(problem(of: nil, into: memory).contains("there is no tensor memory"))
    #expect(problem(of: memory, into: nil).contains("nothing here takes tensor memory"))
    #expect(problem(of: Matrix(2, 19), into: memory).contains("tensor memory is [2, 19]"))
    #expect(
      problem(of: Matrix(2, 20, fill: .nan), into: memory).contains("numbers that are not finite"))
  }
}
