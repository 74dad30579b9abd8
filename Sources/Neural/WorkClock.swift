import Foundation
import Synchronization

/// Kinds of work that a step consists of.
public enum WorkKind: String, CaseIterable, Sendable {
  /// Matrix products.
  case products
  /// What turns a convolution into products: its neighbourhoods, or Winograd's transforms.
  case lowering
  /// Normalisation, modulation and activation, forward and backward.
  case activation
  /// The optimizer, the averages and the gradient's norm.
  case optimizer
  /// Random numbers.
  case random
}

/// Where the time of all threads goes, and which products are computed: for benchmarks. Off, it
/// costs a load of a flag for each loop that is measured.
public enum WorkClock {
  private static let isOn = Atomic(false)
  private static let state = Locked(Tally())

  /// What was measured.
  public struct Tally: Sendable {
    /// Summed over all threads.
    public var seconds: [WorkKind: Double] = [:]
    /// How often every product was computed.
    public var products: [Product: Int] = [:]
  }

  /// The tally of all threads while `body` runs. One at a time.
  public static func measure<Result>(
    _ body: () throws -> Result
  ) rethrows -> (result: Result, tally: Tally) {
    state.withLock { $0 = Tally() }
    isOn.store(true, ordering: .relaxed)
    defer { isOn.store(false, ordering: .relaxed) }
    let result = try body()
    return (result, state.withLock { $0 })
  }

  /// When a loop begins; zero if nobody wants to know.
  @inline(__always) static func start() -> UInt64 {
    isOn.load(ordering: .relaxed) ? DispatchTime.now().uptimeNanoseconds : 0
  }

  /// The end of the loop that began at `start`.
  @inline(__always) static func stop(_ work: WorkKind, since start: UInt64) {
    if start > 0 { add(work, since: start) }
  }

  @inline(never) private static func add(_ work: WorkKind, since start: UInt64) {
    let seconds = 1e-9 * Double(DispatchTime.now().uptimeNanoseconds - start)
    state.withLock { $0.seconds[work, default: 0] += seconds }
  }

  static func count(_ product: @autoclosure () -> Product) {
    guard isOn.load(ordering: .relaxed) else { return }
    let product = product()
    state.withLock { $0.products[product, default: 0] += 1 }
  }
}
