import RealModule

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

  /// Sums the lanes' gradients in their order, and updates every parameter of `network`.
  ///
  /// - Parameters:
  ///   - step: number of updates made before this one, from 0.
  ///   - rate: learning rate of this update.
  ///   - part: what the names of the parameters begin with that are updated; all others stay as they
  ///     are, averages and moments, too. All are if nil.
  ///   - threads: parameters are shared out among so many; the result does not depend on it.
  /// - Returns: the norm of the gradient of all that is updated, before clipping. When it is not finite, nothing is
  ///   updated.
  public func update(
    _ network: inout some Parameterized, lanes: consuming [Gradients], step: Int, rate: Float,
    part: String? = nil, threads: Int
  ) throws -> Double {
    // Parameters and gradients move out of their owners for the update, so that threads work on
    // separate objects and nothing is copied.
    var jobs: [Locked<Work>] = []
    func isMoved(_ name: String) -> Bool { part.map { name.hasPrefix($0) } ?? true }
    network.visitParameters { name, parameter in
      guard isMoved(name) else { return }
      let gradients = lanes.indices.map { lanes[$0].detach(parameter) }
      jobs.append(Locked(Work(parameter: parameter.detached(), lanes: gradients)))
    }
    // In the order of the layers: the memory that one layer's factors give back lies together, and
    // the next sums fit into it.
    let squares = try concurrently(jobs.count, threads: threads) { [jobs] in
      jobs[$0].withLock { $0.sumLanes() }
    }
    let norm = Double.sqrt(squares.reduce(0, +))
    if norm.isFinite {
      let coefficients = Coefficients(self, step: step, rate: rate, norm: norm)
      _ = try concurrently(jobs.count, threads: threads) { [jobs] in
        jobs[$0].withLock { $0.update(coefficients) }
      }
    }
    var remaining = jobs[...]
    network.visitParameters { name, parameter in
      guard isMoved(name) else { return }
      remaining.popFirst()?.withLock { parameter = $0.parameter.detached() }
    }
    return norm
  }
}

/// One parameter and its gradients, away from their owners while they are worked on.
private struct Work {
  var parameter: Parameter
  var lanes: [Gradient]
  var gradient = Matrix(0, 0)

  /// Returns the squared norm of the sum.
  mutating func sumLanes() -> Double {
    var found: [Gradient] = []
    swap(&found, &lanes)
    gradient = Gradient.value(of: found)
    let began = WorkClock.start()
    defer { WorkClock.stop(.optimizer, since: began) }
    return gradient.squaredNorm
  }

  mutating func update(_ coefficients: Coefficients) {
    let began = WorkClock.start()
    defer { WorkClock.stop(.optimizer, since: began) }
    parameter.update(gradient, coefficients)
    gradient = Matrix(0, 0)
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

extension Parameter {
  /// Leaves an empty parameter behind and returns what it was.
  fileprivate mutating func detached() -> Parameter {
    let empty = Matrix(0, 0)
    var taken = Parameter(slot: slot, value: empty, moment1: empty, moment2: empty, average: empty)
    swap(&taken, &self)
    return taken
  }

  fileprivate mutating func update(_ gradient: Matrix, _ coefficients: Coefficients) {
    makeMoments()
    step(
      &value.elements, &moment1.elements, &moment2.elements, &average.elements,
      gradient.elements, coefficients)
  }
}

/// One pass over memory: clip, moments, decay, step, average.
private func step(
  _ value: inout [Float], _ moment1: inout [Float], _ moment2: inout [Float],
  _ average: inout [Float], _ gradient: [Float], _ k: Coefficients
) {
  precondition(gradient.count == value.count && moment1.count == value.count)
  precondition(moment2.count == value.count && average.count == value.count)
  var w = value.mutableSpan
  var m = moment1.mutableSpan
  var v = moment2.mutableSpan
  var a = average.mutableSpan
  let g = gradient.span
  for i in w.indices {
    let d = k.clip * g[i]
    m[i] = k.beta1 * m[i] + (1 - k.beta1) * d
    v[i] = k.beta2 * v[i] + (1 - k.beta2) * d * d
    w[i] = k.shrink * w[i] - k.rate * m[i] / (v[i].squareRoot() * k.correction + k.epsilon)
    a[i] = w[i] + k.average * (a[i] - w[i])
  }
}
