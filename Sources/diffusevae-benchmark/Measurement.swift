import CAllocations
import DiffuseVAE
import Foundation
import Neural

/// What training steps of one network cost.
struct Measurement: Codable {
  /// Milliseconds of the wall clock a step, in order.
  var milliseconds: [Double]
  /// Of the same products alone, in as many lanes, their operands in the cache where they fit.
  var productMilliseconds: Double
  /// Billions of multiplications and additions of these products.
  var productGigaoperations: Double
  /// Shares of the time of all threads; what is left is waiting, and work of no kind that is
  /// measured: copies, sums, losses.
  var shares: [String: Double]
  /// Bytes asked of the allocator by a step.
  var allocatedBytes: Double
  /// Largest resident memory of the process so far, in bytes.
  var peakBytes: Int

  var median: Double { milliseconds[milliseconds.count / 2] }

  /// Times updates that `trainer` makes, of batches that are a multiple of `lanes`.
  init<Goal>(of trainer: inout Trainer<Goal>, updates: Int, lanes: Int, threads: Int) throws {
    for _ in 0..<3 { _ = try trainer.advance() }
    let before = allocated_bytes()
    milliseconds = try (0..<updates).map { _ in
      try Self.milliseconds { _ = try trainer.advance() }
    }
    allocatedBytes = Double(allocated_bytes() - before) / Double(updates)
    milliseconds.sort()
    peakBytes = Self.peakMemory

    var watched = 0.0
    let (_, tally) = try WorkClock.measure {
      watched = try Self.milliseconds { for _ in 0..<updates { _ = try trainer.advance() } }
    }
    let all = Double(threads) * watched / 1e3
    shares = [:]
    for (work, seconds) in tally.seconds { shares[work.rawValue] = seconds / all }
    productGigaoperations =
      1e-9 * tally.products.reduce(0) { $0 + Double($1.key.operations * $1.value) }
      / Double(updates)
    // Every lane has the same products, of its slice, whoever computes them.
    let perLane = tally.products.map { (Product.Replay($0.key), $0.value / lanes / updates) }
    let alone = try (0..<5).map { _ in
      try Self.milliseconds {
        _ = try concurrently(lanes, threads: threads) { _ in
          for (product, times) in perLane {
            var product = product
            product.compute(times: times)
          }
        }
      }
    }
    productMilliseconds = alone.sorted()[2]
  }

  static func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    return try clock.measure(body) / .milliseconds(1)
  }

  /// Largest resident memory of the process so far, in bytes; 0 where the system does not say.
  private static var peakMemory: Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
    return line.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.first.map {
      1024 * $0
    } ?? 0
  }
}
