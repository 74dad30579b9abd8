import Foundation

/// A value that one thread at a time may touch.
///
/// The standard library's `Mutex` is this, too, but waits on Linux in a way that ThreadSanitizer cannot
/// see, which then calls everything behind it a race; a lock of POSIX threads it knows.
package final class Locked<Value: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  package init(_ value: Value) { self.value = value }

  package func withLock<Result: Sendable, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(&value)
  }
}
