import Diffusion
import Formats
import Neural
import RealModule

/// What a stage is trained on, by numbers from 0.
package protocol Examples: Sendable {
  var count: Int { get }
  /// `[indices, numbers of one]`
  func rows(at indices: some Collection<Int>) -> Matrix
  /// Their classes; nil where they are not known.
  func labels(_ indices: some Collection<Int>) -> [Int]?
}

extension Examples {
  package func labels(_ indices: some Collection<Int>) -> [Int]? { nil }
}

extension ByteImages: Examples {
  package func rows(at indices: some Collection<Int>) -> Matrix { pixels(indices) }
}

/// Posteriors q(z|x).
extension DiagonalGaussian: Examples {
  package func rows(at indices: some Collection<Int>) -> Matrix { parameters.rows(at: indices) }
}

/// The one training loop: batch → lanes → update. Its only state is the network (with the
/// optimizer's moments and the averages), the objective's memory and the number of updates made,
/// which is exactly what a checkpoint holds; everything random is addressed by (seed, purpose, step,
/// row).
package struct Trainer<Goal: Objective> {
  private(set) var objective: Goal
  let settings: StageSettings
  let seed: UInt64
  let threads: Int
  /// Updates in the whole stage.
  package let totalSteps: Int
  package private(set) var network: Goal.Network
  package private(set) var step = 0
  /// Steps up to here whose updates were left out or taken back: to the optimizer there were none.
  private(set) var lost: Int

  private let examples: any Examples
  private let lanes: Int
  private let optimizer: AdamW
  private var order: (epoch: Int, indices: [Int]) = (-1, [])

  /// What one update reports.
  package struct Report {
    package let terms: [Double]
    package let rate: Double
    /// Norm of the gradient before clipping.
    package let norm: Double
  }

  /// - Parameters:
  ///   - lanes: slices that a batch is cut into. The result depends on it in its last bits; on
  ///     `threads` it does not depend at all.
  ///   - step: the number of steps, and `lost` of those among them without an update, that made the network.
  /// - Throws: ``UserError`` when there are fewer examples than a batch has.
  package init(
    _ objective: Goal, _ network: Goal.Network, examples: some Examples, settings: StageSettings,
    lanes: Int, seed: UInt64, threads: Int, step: Int = 0, lost: Int = 0
  ) throws {
    guard settings.batch <= examples.count else {
      throw UserError(
        "a batch of \(settings.batch) is more than the \(examples.count) images of the training set"
      )
    }
    self.objective = objective
    self.network = network
    self.examples = examples
    self.settings = settings
    self.seed = seed
    self.threads = threads
    (self.step, self.lost) = (step, lost)
    self.lanes = min(lanes, settings.batch)
    totalSteps = settings.totalSteps(images: examples.count)
    var optimizer = AdamW()
    optimizer.weightDecay = Float(settings.weightDecay)
    optimizer.maximumNorm = settings.clip.map { Float($0) } ?? .infinity
    optimizer.epsilon = Float(settings.epsilon)
    optimizer.averageDecay = Float(settings.ema)
    self.optimizer = optimizer
  }

  package var isFinished: Bool { step >= totalSteps }

  /// Passes over the training set so far.
  var epoch: Double { Double(step * settings.batch) / Double(examples.count) }

  /// Makes one update.
  ///
  /// - Throws: ``Divergence`` when the loss or the gradient is not finite; the network is then as
  ///   it was.
  package mutating func advance() throws -> Report {
    let batch = nextBatch()
    let (terms, gradients, losses) = try differentiate(batch)
    func diverged(_ what: String) -> Divergence {
      Divergence(step: step, what: what, examples: batch)
    }
    guard terms.allSatisfy(\.isFinite) else { throw diverged("the loss is \(terms[0])") }
    let rate = settings.rate(at: step, of: totalSteps)
    let (part, updates) = objective.moved(at: step, updates: step - lost)
    // Does nothing when the norm is not finite.
    let norm = try optimizer.update(
      &network, lanes: consume gradients, step: updates, rate: Float(rate), part: part,
      threads: threads)
    guard norm.isFinite else { throw diverged("the gradient's norm is \(norm)") }
    objective.learn(losses)
    self.step += 1
    return Report(terms: terms, rate: rate, norm: norm)
  }

  /// Leaves out an update.
  mutating func skip() { (step, lost) = (step + 1, lost + 1) }

  /// Takes back the network that so many updates had made, and what the objective had learnt with it.
  mutating func restore(_ network: Goal.Network, _ memory: Matrix?, updates: Int) {
    self.network = network
    objective.memory = memory
    lost = step - updates
  }

  /// The loss's terms for the examples of these numbers, the gradients that each lane finds, and what
  /// the objective is to learn from.
  private func differentiate(
    _ indices: [Int]
  ) throws -> (terms: [Double], gradients: [Gradients], losses: [TimestepLoss]) {
    let network = network.prepared(training: true)
    let zeros = Gradients(of: network)
    let (count, batch) = (lanes, indices.count)
    let shares = try concurrently(count, threads: threads) {
      [objective, examples, seed, step] lane in
      let rows = lane * batch / count..<(lane + 1) * batch / count
      var (terms, gradients, losses) = (objective.zeros, zeros, [TimestepLoss]())
      for part in rows.parts(of: objective.together) {
        let chosen = Array(indices[part])
        let slice = Slice(
          examples: examples.rows(at: chosen), indices: chosen, labels: examples.labels(chosen),
          rows: part, batch: batch, seed: seed, step: step)
        let (shares, residuals) = objective.forward(network, slice)
        losses += objective.losses(residuals)
        objective.backward(network, consume residuals, &gradients)
        terms = sum(terms, shares)
      }
      return (terms: terms, gradients: gradients, losses: losses)
    }
    return (
      shares.map(\.terms).reduce(objective.zeros, sum), shares.map(\.gradients),
      shares.flatMap(\.losses)
    )
  }

  /// The means of the loss's terms over other examples, by the averaged weights unless others are given.
  /// Where images take much memory, no more of them at a time than an update has.
  func evaluate(on examples: some Examples, by network: Goal.Network? = nil) throws -> [Double] {
    let part = max(1, settings.batch / lanes)
    return try means(
      of: objective, network ?? self.network.averaged, over: examples,
      together: objective.together < .max ? part : 128, seed: seed,
      threads: min(threads, lanes))
  }

  /// Every epoch has its own order; what does not fill a batch at its end is left out.
  private mutating func nextBatch() -> [Int] {
    let batches = examples.count / settings.batch
    let (epoch, place) = step.quotientAndRemainder(dividingBy: batches)
    if order.epoch != epoch {
      var random = SequentialRandom(RandomStream(seed: seed, purpose: .shuffle, step: epoch))
      order = (epoch, Array(0..<examples.count).shuffled(using: &random))
    }
    return Array(order.indices[place * settings.batch..<(place + 1) * settings.batch])
  }
}

/// The means of an objective's terms over some examples, `together` of them at a time on each
/// thread; the random numbers are the same at every call.
func means<Goal: Objective>(
  of objective: Goal, _ network: Goal.Network, over examples: some Examples, together: Int = 128,
  seed: UInt64, threads: Int
) throws -> [Double] {
  let parts = (0..<examples.count).parts(of: min(together, objective.together))
  let network = network.prepared(training: false)
  let shares = try concurrently(parts.count, threads: threads) { index in
    let rows = parts[index]
    // Other numbers than any of training: `step` counts up from 0 there.
    let slice = Slice(
      examples: examples.rows(at: rows), indices: Array(rows), labels: examples.labels(rows),
      rows: rows, batch: examples.count, seed: seed, step: -1, isTraining: false)
    return objective.forward(network, slice).terms
  }
  return shares.reduce(objective.zeros, sum)
}

private func sum(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 + $1 } }

extension Objective {
  fileprivate var zeros: [Double] { [Double](repeating: 0, count: terms.count) }
}

extension StageSettings {
  /// Those of a stage that no configuration describes; what is left out as by default.
  package init(steps: Int, batch: Int, rate: Double, warmup: Int, ema: Double) {
    self.init()
    (self.epochs, self.steps, self.batch) = (nil, steps, batch)
    (self.rate, self.warmup, self.ema) = (rate, warmup, ema)
  }

  /// Updates in the whole stage, for a training set of so many images.
  func totalSteps(images: Int) -> Int {
    if let steps { return steps }
    let perEpoch = max(1, images / batch)
    return max(1, Int((Double(perEpoch) * (epochs ?? 1)).rounded()))
  }

  /// Linear warm-up to the peak rate, then a cosine down to `finalRatio` of it.
  func rate(at step: Int, of total: Int) -> Double {
    if step < warmup { return rate * Double(step + 1) / Double(warmup) }
    let progress = Double(step - warmup) / Double(max(1, total - warmup))
    let cosine = 0.5 * (1 + Double.cos(.pi * min(1, progress)))
    return rate * (finalRatio + (1 - finalRatio) * cosine)
  }
}
