import Formats

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Keeps a second training out of a run, for as long as it lives; the system lets go of it when the
/// process ends, however it ends.
final class RunLock {
  private let file: Int32

  /// - Throws: ``UserError`` when another process holds the lock, or there can be none.
  init(_ run: Run) throws {
    let path = run.folder + "/state/lock"
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard file >= 0 else {
      throw FileError(file: path, problem: "cannot be opened")
    }
    var answer: Int32
    repeat { answer = flock(file, LOCK_EX | LOCK_NB) } while answer != 0 && errno == EINTR
    guard answer == 0 else {
      let reason = errno
      guard reason == EWOULDBLOCK else {
        throw FileError(file: path, problem: "cannot be locked", code: reason)
      }
      throw UserError("\(run.folder): another diffusevae-train is at work on this run")
    }
  }

  deinit { close(file) }
}
