import Diffusion
import Neural

/// Images on their way through the second stage together: what a sampler asks for.
struct Batch {
  let known: Known
  /// y_T, `[batch, pixels]`
  private let pureNoise: Matrix
  /// y0 of the images that are restored, as far as they are known and whole, and how they are.
  private let restored: (known: Matrix, whole: Matrix, by: Restoration)?
  private let addresses: [Int]
  private let network: any Denoiser
  private let process: DiffusionProcess
  private let shape: ImageShape
  private let settings: SamplingSettings
  private let seed: UInt64
  private let tally: Tally

  init(
    _ drafts: [Draft], _ known: Known, _ network: any Denoiser, _ model: Model,
    _ options: SamplingOptions, tally: Tally
  ) {
    pureNoise = .stacked(drafts.map(\.start))
    addresses = drafts.map(\.noise)
    (self.known, self.network) = (known, network)
    (process, shape) = (model.process, model.shape)
    (settings, seed, self.tally) = (options.settings, options.seed, tally)
    let restored = drafts.compactMap(\.restored)
    guard let restoration = options.restoration, restored.count == drafts.count else {
      self.restored = nil
      return
    }
    func chain(_ images: [Matrix]) -> Matrix {
      model.process.formulation.chain(fromImage: .stacked(images), known.reconstruction)
    }
    self.restored = (chain(restored.map(\.known)), chain(restored.map(\.whole)), restoration)
  }

  /// Where the sampler starts, at its first level.
  func start(at level: Level) -> Matrix {
    restored.map { $0.by.start($0.whole, noise: pureNoise, at: level) } ?? pureNoise
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
      rows: addresses, columns: pureNoise.columns)
  }

  private func found(_ y: Matrix, _ level: Level) throws -> (y0: Matrix, v: Matrix?) {
    let weight = settings.guidance.weight(at: level, steps: process.schedule.steps)
    tally.ask(weight == 0 ? 1 : 2)
    var (y0, v) = try process.estimate(y, at: level, network, known, guidance: weight)
    if let restored { y0 = restored.by.projected(y0, to: restored.known, shape) }
    return (y0, v)
  }

  static let choosesNoVariance = UserError(
    """
    variance learned is for runs with diffusion.learn_variance: use small, large or analytic, or train \
    a run with it
    """)
}

/// How often networks were asked, counted from several threads.
final class Tally: Sendable {
  private let counts = Locked((asked: 0, batches: 0))

  func ask(_ times: Int) { counts.withLock { $0.asked += times } }

  /// A batch is drawn.
  func finish() { counts.withLock { $0.batches += 1 } }

  /// For a batch, on average; nil before one was drawn.
  var mean: Double? {
    counts.withLock { $0.batches == 0 ? nil : Double($0.asked) / Double($0.batches) }
  }
}
