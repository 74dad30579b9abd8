import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Ctrl-C and a polite request to end (SIGTERM): the first asks the training loop to stop after the
/// step, the second leaves at once.
public enum Interruption {
  private static let requested = Atomic<Bool>(false)

  public static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// Takes both signals over for the rest of the process.
  public static func install() {
    // Made before a signal can arrive: a handler must not initialise anything.
    requested.store(false, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        let (wasRequested, _) = Interruption.requested.compareExchange(
          expected: false, desired: true, ordering: .relaxed)
        if !wasRequested { _exit(128 + number) }
      }
    }
    // Writing past a file-size limit is then an error of `write`, which names the file.
    signal(SIGXFSZ, SIG_IGN)
  }
}
