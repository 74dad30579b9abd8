import RealModule
import Synchronization

/// The derivatives that one lane of a batch has added up. A class with a lock, never contended,
/// so that the compiler can see that lanes are filled at once without touching a common array.
public final class Lane: Sendable {
  public let gradients: Mutex<Gradients>

  public init(of network: some Parameterized) { gradients = Mutex(Gradients(of: network)) }
}

/// AdamW (Loshchilov & Hutter 2019, Algorithm 2, as PyTorch has it), clipping by global norm, and
/// the exponential moving average of the weights.
public struct AdamW: Sendable {
  public var beta1: Float = 0.9
  public var beta2: Float = 0.999
  public var epsilon: Float = 1e-8
  /// Decoupled: each update multiplies every weight by 1 - rate · weightDecay.
  public var weightDecay: Float = 0
  /// Gradients whose norm is larger are scaled down to it; infinity leaves them alone.
  public var maximumNorm: Float = 1
  /// Decay of the weights' average, itself warmed up: min(averageDecay, (1 + step)/(10 + step)).
  public var averageDecay: Float = 0.999

  public init() {}

  /// Sums the lanes' gradients in their order, updates every parameter of `network`, and clears
  /// the gradients.
  ///
  /// - Parameters:
  ///   - step: number of updates made before this one, from 0.
  ///   - rate: learning rate of this update.
  ///   - threads: parameters are shared out among so many; the result does not depend on it.
  /// - Returns: the norm of the whole gradient before clipping. When it is not finite, nothing is
  ///   updated.
  public func update(
    _ network: inout some Parameterized, lanes: [Lane], step: Int, rate: Float, threads: Int
  ) throws -> Double {
    // Parameters and gradients move out of their owners for the update, so that threads work on
    // separate objects and nothing is copied.
    var jobs: [Job] = []
    network.visitParameters { _, parameter in
      let slot = parameter.slot
      let gradients = lanes.map { lane in lane.gradients.withLock { $0.slots[slot].detached() } }
      jobs.append(Job(parameter.detached(), gradients))
    }
    let groups = balanced(jobs, into: threads)
    let squares = try concurrently(groups.count, threads: threads) { [jobs] group in
      let began = WorkClock.start()
      defer { WorkClock.stop(.optimizer, since: began) }
      return groups[group].map { jobs[$0].work.withLock { $0.sumLanes() } }
    }
    // The norm adds up in the order of the parameters, whatever the groups were.
    var ordered = [Double](repeating: 0, count: jobs.count)
    for (group, values) in zip(groups, squares) {
      for (index, value) in zip(group, values) { ordered[index] = value }
    }
    let norm = Double.sqrt(ordered.reduce(0, +))
    let finite = norm.isFinite
    let coefficients = Coefficients(self, step: step, rate: rate, norm: norm)
    _ = try concurrently(groups.count, threads: threads) { [jobs] group in
      let began = WorkClock.start()
      defer { WorkClock.stop(.optimizer, since: began) }
      for index in groups[group] {
        jobs[index].work.withLock { $0.update(finite ? coefficients : nil) }
      }
    }
    var remaining = jobs[...]
    network.visitParameters { _, parameter in
      let slot = parameter.slot
      remaining.popFirst()?.work.withLock { work in
        for (lane, index) in zip(lanes, work.gradients.indices) {
          let gradient = work.gradients[index].detached()
          lane.gradients.withLock { $0.slots[slot] = gradient }
        }
        parameter = work.parameter.detached()
      }
    }
    return norm
  }

  /// Shares the jobs out so that every group has about the same number of numbers.
  private func balanced(_ jobs: [Job], into threads: Int) -> [[Int]] {
    var groups = [[Int]](repeating: [], count: max(1, min(threads, jobs.count)))
    var loads = [Int](repeating: 0, count: groups.count)
    for index in jobs.indices.sorted(by: { jobs[$0].count > jobs[$1].count }) {
      let lightest = loads.indices.min { loads[$0] < loads[$1] } ?? 0
      groups[lightest].append(index)
      loads[lightest] += jobs[index].count
    }
    return groups
  }
}

/// One parameter and its lanes' gradients, away from their owners while they are worked on.
private final class Job: Sendable {
  let count: Int
  let work: Mutex<Work>

  init(_ parameter: Parameter, _ gradients: [Matrix]) {
    count = parameter.count
    work = Mutex(Work(parameter: parameter, gradients: gradients))
  }
}

private struct Work {
  var parameter: Parameter
  var gradients: [Matrix]

  /// Adds every lane's gradient to the first lane's. Returns its squared norm.
  mutating func sumLanes() -> Double {
    guard !gradients.isEmpty else { return 0 }
    var sum = gradients[0].detached()
    for lane in gradients.indices.dropFirst() {
      addAndClear(&sum.elements, &gradients[lane].elements)
    }
    gradients[0] = sum
    return sum.squaredNorm
  }

  mutating func update(_ coefficients: Coefficients?) {
    guard !gradients.isEmpty else { return }
    if let coefficients {
      parameter.update(&gradients[0], coefficients)
    } else {
      gradients[0].update { _ in 0 }
    }
  }
}

/// The numbers of one update, the same for every parameter.
private struct Coefficients {
  let clip, beta1, beta2, shrink, rate, correction, epsilon, average: Float

  init(_ settings: AdamW, step: Int, rate: Float, norm: Double) {
    let updates = Double(step + 1)
    let correction1 = 1 - Double.pow(Double(settings.beta1), updates)
    let correction2 = 1 - Double.pow(Double(settings.beta2), updates)
    clip = min(1, settings.maximumNorm / Float(norm + 1e-6))
    (beta1, beta2, epsilon) = (settings.beta1, settings.beta2, settings.epsilon)
    shrink = 1 - rate * settings.weightDecay
    self.rate = Float(Double(rate) / correction1)
    correction = Float(1 / Double.sqrt(correction2))
    average = min(settings.averageDecay, Float(1 + step) / Float(10 + step))
  }
}

extension Matrix {
  /// Leaves an empty matrix behind and returns what it was.
  fileprivate mutating func detached() -> Matrix {
    var taken = Matrix(0, 0)
    swap(&taken, &self)
    return taken
  }
}

/// `sum += part`, and `part = 0`, in one pass.
private func addAndClear(_ sum: inout [Float], _ part: inout [Float]) {
  precondition(sum.count == part.count)
  var s = sum.mutableSpan
  var p = part.mutableSpan
  for i in s.indices {
    s[i] += p[i]
    p[i] = 0
  }
}

extension Parameter {
  /// Leaves an empty parameter behind and returns what it was.
  fileprivate mutating func detached() -> Parameter {
    let empty = Matrix(0, 0)
    var taken = Parameter(slot: slot, value: empty, moment1: empty, moment2: empty, average: empty)
    swap(&taken, &self)
    return taken
  }

  fileprivate mutating func update(_ gradient: inout Matrix, _ coefficients: Coefficients) {
    makeMoments()
    step(
      &value.elements, &moment1.elements, &moment2.elements, &average.elements,
      &gradient.elements, coefficients)
  }
}

/// One pass over memory: clip, moments, decay, step, average, clear.
private func step(
  _ value: inout [Float], _ moment1: inout [Float], _ moment2: inout [Float],
  _ average: inout [Float], _ gradient: inout [Float], _ k: Coefficients
) {
  precondition(gradient.count == value.count && moment1.count == value.count)
  precondition(moment2.count == value.count && average.count == value.count)
  var w = value.mutableSpan
  var m = moment1.mutableSpan
  var v = moment2.mutableSpan
  var a = average.mutableSpan
  var g = gradient.mutableSpan
  for i in w.indices {
    let d = k.clip * g[i]
    g[i] = 0
    m[i] = k.beta1 * m[i] + (1 - k.beta1) * d
    v[i] = k.beta2 * v[i] + (1 - k.beta2) * d * d
    w[i] = k.shrink * w[i] - k.rate * m[i] / (v[i].squareRoot() * k.correction + k.epsilon)
    a[i] = w[i] + k.average * (a[i] - w[i])
  }
}
