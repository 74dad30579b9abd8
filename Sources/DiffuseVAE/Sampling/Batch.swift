import Diffusion
import Neural
import Synchronization

/// Images on their way through the second stage together: what a sampler asks for.
struct Batch {
  /// `[batch, pixels]`
  let start: Matrix
  let known: Known
  private let addresses: [Int]
  private let network: any Denoiser
  private let process: DiffusionProcess
  private let settings: SamplingSettings
  private let seed: UInt64
  private let tally: Tally

  init(
    _ drafts: [Draft], _ known: Known, _ network: any Denoiser, _ process: DiffusionProcess,
    _ settings: SamplingSettings, seed: UInt64, tally: Tally
  ) {
    start = .stacked(drafts.map(\.start))
    addresses = drafts.map(\.noise)
    (self.known, self.network, self.process) = (known, network, process)
    (self.settings, self.seed, self.tally) = (settings, seed, tally)
  }

  /// The estimate of y0 of noisy samples.
  func denoise(_ y: Matrix, _ level: Level) throws -> Matrix { try found(y, level).y0 }

  /// The same, and v of every pixel, of a network that chooses the variance.
  func estimate(_ y: Matrix, _ level: Level) throws -> (x0: Matrix, v: Matrix) {
    let (y0, v) = try found(y, level)
    guard let v else { throw Self.choosesNoVariance }
    return (y0, v)
  }

  /// What a stochastic sampler adds in a step, every image of its own number.
  func noise(_ step: Int) -> Matrix {
    RandomStream(seed: seed, purpose: .reverseNoise, step: step).normal(
      rows: addresses, columns: start.columns)
  }

  private func found(_ y: Matrix, _ level: Level) throws -> (y0: Matrix, v: Matrix?) {
    let weight = settings.guidance.weight(at: level, steps: process.schedule.steps)
    tally.ask(weight == 0 ? 1 : 2)
    return try process.estimate(y, at: level, network, known, guidance: weight)
  }

  static let choosesNoVariance = UserError(
    """
    variance learned is for runs with diffusion.learn_variance: use small, large or analytic, or train \
    a run with it
    """)
}

/// How often networks were asked, counted from several threads.
final class Tally: Sendable {
  private let counts = Mutex((asked: 0, batches: 0))

  func ask(_ times: Int) { counts.withLock { $0.asked += times } }

  /// A batch is drawn.
  func finish() { counts.withLock { $0.batches += 1 } }

  /// For a batch, on average; nil before one was drawn.
  var mean: Double? {
    counts.withLock { $0.batches == 0 ? nil : Double($0.asked) / Double($0.batches) }
  }
}
