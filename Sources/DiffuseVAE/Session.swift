import Formats
import Foundation
import Logging
import Neural

/// What every command does first.
public enum Session {
  /// Threads that a command uses unless it is told otherwise: one for each core.
  public static var cores: Int { ProcessInfo.processInfo.activeProcessorCount }

  /// Sets the process up for work by lanes, and sends log messages to stderr.
  ///
  /// - Returns: the logger of the command.
  /// - Throws: ``UserError`` unless `threads` is in 1…1024, or if the program was built for another
  ///   kind of processor.
  public static func begin(_ command: String, threads: Int) throws -> Logger {
    guard (1...1024).contains(threads) else {
      throw UserError("--threads is \(threads); it must be in 1...1024")
    }
    try checkProcessor()
    ProductKernels.restartIfOld()
    Memory.keepFreedBuffers()
    try BLAS.touchWorkspace(threads: min(threads, cores))
    // Writing past a file-size limit, or to a pipe that nobody reads any more, is then an error of
    // `write` and not the end.
    signal(SIGXFSZ, SIG_IGN)
    signal(SIGPIPE, SIG_IGN)
    // A closed standard stream's number would go to the next file, and with it what is printed.
    for stream in Int32(0)...2 where fcntl(stream, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
    LoggingSystem.bootstrap { _ in PlainLogHandler() }
    return Logger(label: command)
  }

  /// An error now rather than an illegal instruction later. This target itself is compiled for any
  /// processor.
  private static func checkProcessor() throws {
    #if AVX512  // See Package.swift.
      guard let processor = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else {
        return
      }
      guard ProductKernels.hasAVX512(processor) else {
        throw UserError(
          """
          this program was built for processors with AVX-512, which this one lacks; build it with \
          DIFFUSEVAE_MARCH=x86-64-v3 in the environment
          """)
      }
    #endif
  }

  /// Prints text, at once even into a pipe.
  ///
  /// - Throws: `FileError` when standard output does not take it.
  public static func show(_ text: String, terminator: String = "\n") throws {
    print(text, terminator: terminator)
    guard fflush(nil) == 0 else {
      throw FileError(file: "standard output", problem: "cannot be written")
    }
  }

  /// One line on what the products run on. That the environment names the kernels is said, since they
  /// may be slower than what the processor can do.
  public static func describe(threads: Int) -> String {
    let named = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"].map {
      ", by OPENBLAS_CORETYPE=\($0)"
    }
    return "OpenBLAS \(BLAS.coreName)\(named ?? ""), \(threads) thread\(threads == 1 ? "" : "s")"
  }
}

/// Messages as they are, a line each, on stderr; what is not routine says its level first.
private struct PlainLogHandler: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let level = event.level >= .warning ? "\(event.level): " : ""
    StandardError.write("\(level)\(event.message)\n")
  }
}
