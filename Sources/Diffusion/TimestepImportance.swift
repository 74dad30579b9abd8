import RealModule

/// The loss of one example at its timestep.
public struct TimestepLoss: Equatable, Sendable {
  public let timestep: Int
  public let loss: Double

  public init(timestep: Int, loss: Double) { (self.timestep, self.loss) = (timestep, loss) }
}

/// Draws timesteps so that the mean loss over all of them is estimated with little variance (Nichol &
/// Dhariwal 2021, section 3.3):
///
///     L = E_{t~p} [L_t / (T p_t)]  with  p_t ∝ √E[L_t²]     (eq. 18)
///
/// Until every timestep has been drawn ten times, all are equally likely. `E[L_t²]` is the mean over
/// the first ten draws of t; each further one counts a tenth, and all before it nine tenths. So its
/// memory is about as long as the paper's, the last ten draws, but is two numbers for each t, not ten.
public struct TimestepImportance: Equatable, Sendable {
  /// Share of the draws that stay uniform, as in the paper's code: it bounds what a loss is divided
  /// by, should one be found where none was before.
  static let uniformShare = 0.001

  /// Draws that a mean is of, about.
  static let memory: Float = 10

  private var meanSquares: [Float]
  /// Up to ``memory``.
  private var draws: [Float]
  /// Of t, the probability of all timesteps up to it; nil while all are equally likely.
  private var cumulative: [Double]?

  /// - Parameter steps: T, positive.
  public init(steps: Int) {
    meanSquares = [Float](repeating: 0, count: steps)
    draws = meanSquares
  }

  public var steps: Int { draws.count }

  /// Whether every timestep has enough draws.
  public var isKnown: Bool { cumulative != nil }

  /// All that it knows: for each timestep the mean square of its loss, then for each its draws.
  ///
  /// Any numbers can be set, of which there must be as many.
  public var state: [Float] {
    get { meanSquares + draws }
    set {
      precondition(newValue.count == 2 * steps, "two numbers for each timestep")
      meanSquares = newValue.prefix(steps).map { min(max(0, $0), Float(Self.largest)) }
      draws = newValue.suffix(steps).map { min(max(0, $0), Self.memory) }
      weigh()
    }
  }

  /// Whose sum over all timesteps stays finite.
  private static let largest = 1e30

  /// Takes note of a batch.
  public mutating func learn(_ losses: [TimestepLoss]) {
    for found in losses where found.loss.isFinite {
      let t = found.timestep
      draws[t] = min(draws[t] + 1, Self.memory)
      let square = Float(min(found.loss * found.loss, Self.largest))
      meanSquares[t] += (square - meanSquares[t]) / draws[t]
    }
    weigh()
  }

  private mutating func weigh() {
    let roots = meanSquares.map { Double($0).squareRoot() }
    let sum = roots.reduce(0, +)
    guard sum > 0, draws.allSatisfy({ $0 >= Self.memory }) else {
      cumulative = nil
      return
    }
    var whole = 0.0
    cumulative = roots.map { root in
      whole += (1 - Self.uniformShare) * root / sum + Self.uniformShare / Double(steps)
      return whole
    }
  }

  /// p_t
  public func probability(of timestep: Int) -> Double {
    guard let cumulative else { return 1 / Double(steps) }
    return cumulative[timestep] - (timestep > 0 ? cumulative[timestep - 1] : 0)
  }

  /// `1/(T p_t)`, the factor of a loss at t.
  public func factor(of timestep: Int) -> Double {
    isKnown ? 1 / (Double(steps) * probability(of: timestep)) : 1
  }

  /// The timestep in whose share of the probabilities `place` falls: In 0..<1.
  public func timestep(at place: Double) -> Int {
    guard let cumulative else { return min(Int(place * Double(steps)), steps - 1) }
    // The first whose sum is above it, by bisection; the sums end at about 1.
    var (low, high) = (0, steps - 1)
    while low < high {
      let middle = (low + high) / 2
      if cumulative[middle] > place { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
