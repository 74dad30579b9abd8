import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Ctrl-C, a request to end (SIGTERM) and a terminal that goes away (SIGHUP): the first asks the
/// training loop to stop after the step, the second leaves at once.
public enum Interruption {
  /// The signal that came; 0 for none.
  private static let received = Atomic<Int32>(0)

  public static var isRequested: Bool { received.load(ordering: .relaxed) != 0 }

  /// What a process that a signal ended exits with: 128 and the signal's number.
  public static var exitCode: Int32 { 128 + received.load(ordering: .relaxed) }

  /// Takes these signals over for the rest of the process.
  public static func install() {
    // Made before a signal can arrive: a handler must not initialise anything.
    received.store(0, ordering: .relaxed)
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      sigaddset(&signals, number)
      let previous = signal(number) { number in
        let (isFirst, _) = Interruption.received.compareExchange(
          expected: 0, desired: number, ordering: .relaxed)
        if !isFirst { _exit(128 + number) }
      }
      // What nohup asks for. (A shell has background jobs ignore SIGINT, too; but that can be meant.)
      if number == SIGHUP, address(previous) == address(SIG_IGN) { signal(number, SIG_IGN) }
    }
    // A launcher's thread may have had them blocked, and a child inherits that.
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Functions cannot be compared, but where they are can.
  private static func address(_ handler: (@convention(c) (Int32) -> Void)?) -> Int {
    unsafeBitCast(handler, to: Int.self)
  }
}
