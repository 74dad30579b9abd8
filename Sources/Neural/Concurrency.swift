import COpenBLAS
import Dispatch
import Synchronization

/// Calls `body` for 0, 1, …, `count - 1` on at most `threads` threads and returns the results in
/// order. A thread that is free takes the next index; what is computed does not depend on `threads`.
///
/// - Throws: the error of the lowest index that failed.
public func concurrently<Result: Sendable>(
  _ count: Int, threads: Int, _ body: @Sendable (Int) throws -> Result
) throws -> [Result] {
  let workers = max(1, min(threads, count))
  guard workers > 1 else { return try (0..<count).map(body) }
  let results = Locked([Swift.Result<Result, any Error>?](repeating: nil, count: count))
  let next = Atomic(0)
  DispatchQueue.concurrentPerform(iterations: workers) { _ in
    while true {
      let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      let result = Swift.Result { try body(index) }
      results.withLock { $0[index] = result }
    }
  }
  return try results.withLock { try $0.compactMap { try $0?.get() } }
}

extension Range<Int> {
  /// The range in parts of `size`, the last of which may be smaller.
  package func parts(of size: Int) -> [Range] {
    precondition(size > 0, "parts of \(size)")
    return stride(from: lowerBound, to: upperBound, by: size).map {
      $0..<$0 + Swift.min(size, upperBound - $0)
    }
  }
}

/// Process-wide settings of memory.
public enum Memory {
  /// Keeps freed buffers in the process. By default glibc gives large ones back to the system,
  /// and every training step would pay to have the same pages mapped and cleared again.
  public static func keepFreedBuffers() {
    #if canImport(Glibc)
      mallopt(M_MMAP_THRESHOLD, 1 << 30)
      mallopt(M_TRIM_THRESHOLD, Int32.max)
      // One heap for all threads: what one of them frees, another takes. M_ARENA_MAX is -8.
      mallopt(-8, 1)
    #endif
  }
}
